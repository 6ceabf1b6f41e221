// CloudFront's verification of a signed request, written from its manual with Node's crypto alone. For each case in
// JSON on stdin it prints whether the request is allowed, and if not, why.
//
// AWS, "Serve private content with signed URLs and signed cookies".

import { createPublicKey, verify } from 'node:crypto'

const NAMES = ['Expires', 'Policy', 'Signature', 'Key-Pair-Id', 'Hash-Algorithm']

const decode = (text) => Buffer.from(text.replaceAll('-', '+').replaceAll('_', '=').replaceAll('~', '/'), 'base64')

// `*` matches any characters, `?` matches one; everything else is literal.
function covers(pattern, url) {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's').test(url)
}

function isWithin(address, range) {
  const number = (text) => text.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0)
  const [base, bits] = range.split('/')
  const size = 2 ** (32 - Number(bits))
  return Math.floor(number(address) / size) === Math.floor(number(base) / size)
}

/** The URL without the signature's parameters, and the signature; cookies count if the URL has none. */
function read({ url, cookies }) {
  const [base, query = ''] = url.split(/\?(.*)/s)
  const signature = {}
  const kept = []
  for (const pair of query === '' ? [] : query.split('&')) {
    const [name, value = ''] = pair.split(/=(.*)/s)
    if (NAMES.includes(name)) signature[name] = value
    else kept.push(pair)
  }
  if (signature.Signature === undefined) {
    for (const [name, value] of Object.entries(cookies ?? {})) {
      const short = name.replace(/^CloudFront-/, '')
      if (short !== name) signature[short] = value
    }
  }
  return { resource: kept.length > 0 ? `${base}?${kept.join('&')}` : base, signature }
}

function judge(one) {
  const { resource, signature } = read(one)
  if (!signature.Signature || !signature['Key-Pair-Id']) return 'no signature'
  const pem = one.keys[signature['Key-Pair-Id']]
  if (pem === undefined) return 'unknown key'
  // Without the parameter the hash is SHA-1.
  const hash = signature['Hash-Algorithm'] === 'SHA256' ? 'sha256' : 'sha1'
  let text
  if (signature.Policy !== undefined) {
    text = decode(signature.Policy).toString()
  } else {
    const time = Number(signature.Expires)
    if (!Number.isInteger(time)) return 'no time'
    text = `{"Statement":[{"Resource":"${resource}","Condition":{"DateLessThan":{"AWS:EpochTime":${time}}}}]}`
  }
  if (!verify(hash, Buffer.from(text), createPublicKey(pem), decode(signature.Signature))) return 'wrong signature'
  const { Statement } = JSON.parse(text)
  if (Statement.length !== 1) return 'not one statement'
  const { Resource, Condition } = Statement[0]
  if (signature.Policy !== undefined && !covers(Resource, resource)) return 'another resource'
  if (!(one.now < Condition.DateLessThan['AWS:EpochTime'])) return 'expired'
  if (Condition.DateGreaterThan && !(Condition.DateGreaterThan['AWS:EpochTime'] < one.now)) return 'too early'
  if (Condition.IpAddress && !isWithin(one.address, Condition.IpAddress['AWS:SourceIp'])) return 'another address'
  return 'allowed'
}

const cases = JSON.parse(await new Response(process.stdin).text())
process.stdout.write(JSON.stringify(cases.map(judge)))
