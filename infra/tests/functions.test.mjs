// The CloudFront Functions of the module, as a distribution calls them. Each runs in Node.js, and in njs, the engine family
// of CloudFront Functions, if that is installed. `npm test` in web/ runs this file.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import vm from 'node:vm'

import { lacking } from '../../edge-auth/cloudfront-function/minify.mjs'

const folder = new URL('../modules/gatepost/', import.meta.url)
const names = readdirSync(folder).filter((name) => name.endsWith('.js'))
const hasNjs = spawnSync('njs', ['-v']).status === 0
const engines = hasNjs ? [inNode, inNjs] : [inNode]

const code = (name) => readFileSync(new URL(`${name}-viewer-request.js`, folder), 'utf8')

test('njs runs the functions, too', { skip: !hasNjs && 'njs is not installed' }, () => {
  assert.ok(engines.includes(inNjs))
})

test('the functions have nothing that runtime 2.0 lacks', async () => {
  assert.equal(names.length, 5)
  for (const name of names) assert.deepEqual(await lacking(readFileSync(new URL(name, folder), 'utf8')), [], name)
})

test('the API is told the distribution, the host and the authorization of the viewer alone', () => {
  const own = { host: 'photos.example.com', authorization: 'Bearer a', 'content-type': 'application/json' }
  const forged = {
    'x-gatepost-authorization': 'Bearer b',
    'x-gatepost-distribution': 'evil.example.com',
    'x-gatepost-distribution-id': 'EVIL',
    'x-gatepost-host': 'evil.example.com',
  }
  const told = {
    'x-gatepost-distribution': 'd111111abcdef8.cloudfront.net',
    'x-gatepost-distribution-id': 'E123',
    'x-gatepost-host': 'photos.example.com',
  }
  for (const [sent, got] of [
    [own, { ...own, ...told, 'x-gatepost-authorization': 'Bearer a' }],
    [
      { ...own, ...forged },
      { ...own, ...told, 'x-gatepost-authorization': 'Bearer a' },
    ],
    [
      { host: own.host, ...forged },
      { host: own.host, ...told },
    ],
  ]) {
    assert.deepEqual(plain(call('api', request('POST', '/api/uploads', { headers: sent })).headers), got)
  }
})

test('a request without exactly one signature of S3 is refused', () => {
  for (const query of [
    {},
    { 'X-Amz-Signature': { value: '' } },
    { 'X-Amz-Signature': { value: 'a', multiValue: [{ value: 'a' }, { value: 'b' }] } },
    { 'X-Amz-Signature': { value: 'a', multiValue: [{ value: 'a' }, { value: 'a' }] } },
    { 'x-amz-signature': { value: 'a' } },
    { 'X%2DAmz-Signature': { value: 'a' } },
    { 'X-Amz-Credential': { value: 'a' }, Signature: { value: 'b' } },
  ]) {
    const answer = call('presigned', request('GET', '/media/o/1/a.webp', { query }))
    assert.equal(answer.statusCode, 403, JSON.stringify(query))
    assert.deepEqual(plain(answer.headers), {
      'cache-control': 'no-store',
      'content-type': 'application/problem+json',
      'x-content-type-options': 'nosniff',
    })
    assert.deepEqual(JSON.parse(answer.body), {
      title: 'Forbidden',
      status: 403,
      detail: 'A picture needs a signed URL.',
    })
  }
})

test('a request with a signature of S3 is passed on unchanged', () => {
  const query = { 'X-Amz-Date': { value: '20261128T100000Z' }, 'X-Amz-Signature': { value: 'a' } }
  const sent = request('GET', '/media/o/1/a.webp', { query, headers: { host: 'photos.example.com' } })
  assert.deepEqual(call('presigned', sent), sent)
})

test('a form is passed on to the root of the bucket, with nothing of the viewer but its type', () => {
  const headers = {
    accept: '*/*',
    authorization: 'Bearer a',
    'content-length': '2600000',
    'content-type': 'multipart/form-data; boundary=b',
    host: 'photos.example.com',
    origin: 'https://photos.example.com',
    referer: 'https://photos.example.com/',
    'x-amz-acl': 'public-read',
  }
  const sent = request('POST', '/upload', { headers, cookies: { '__Host-gatepost': { value: 'a.b.c' } } })
  const got = call('upload', sent)
  assert.equal(got.uri, '/')
  assert.equal(got.method, 'POST')
  assert.deepEqual(plain(got.headers), {
    'content-length': headers['content-length'],
    'content-type': headers['content-type'],
    host: headers.host,
  })
  assert.deepEqual(got.cookies, {})
  assert.deepEqual(got.querystring, {})
})

test('other requests than forms do not reach the upload bucket', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE']) {
    const answer = call('upload', request(method, '/upload', { query: { list: { value: '' } } }))
    assert.equal(answer.statusCode, 405, method)
    assert.equal(answer.headers.allow.value, 'POST')
    assert.equal(answer.headers['cache-control'].value, 'no-store')
  }
  for (const query of [
    { delete: { value: '' } },
    { uploads: { value: '', multiValue: [{ value: '' }, { value: '' }] } },
  ]) {
    const answer = call('upload', request('POST', '/upload', { query }))
    assert.equal(answer.statusCode, 400)
    assert.equal(answer.headers.allow, undefined)
    assert.equal(JSON.parse(answer.body).status, 400)
  }
})

test('a shared path loses its first segment, and gets the prefix where the origin has none', () => {
  for (const [prefix, from, to] of [
    ['', '/shared/media/o/1/a.webp', '/media/o/1/a.webp'],
    ['', '/shared/shared/a', '/shared/a'],
    ['/o', '/shared/media/o/1/a.webp', '/o/media/o/1/a.webp'],
  ]) {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's template
    const rendered = code('shared').replace('${prefix}', prefix)
    const got = call('shared', request('GET', from, { headers: { 'x-gatepost-shared': 'no' } }), rendered)
    assert.equal(got.uri, to)
    assert.deepEqual(plain(got.headers), { 'x-gatepost-shared': 'yes' })
  }
  assert.equal(call('shared', request('GET', '/shared/')).statusCode, 404)
})

test('paths that name the prefix of keys are refused', () => {
  const answer = call('refusal', request('GET', '/o/media/o/1/a.webp'))
  assert.equal(answer.statusCode, 403)
  assert.equal(answer.headers['cache-control'].value, 'no-store')
})

function request(method, uri, { query = {}, headers = {}, cookies = {} } = {}) {
  const entries = Object.entries(headers).map(([name, value]) => [name, { value }])
  return { method, uri, querystring: query, headers: Object.fromEntries(entries), cookies }
}

function plain(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, header]) => [name, header.value]))
}

// The answer of a function, which all engines agree on.
function call(name, sent, text = code(name)) {
  const event = {
    version: '1.0',
    context: {
      distributionDomainName: 'd111111abcdef8.cloudfront.net',
      distributionId: 'E123',
      eventType: 'viewer-request',
      requestId: '1',
    },
    viewer: { ip: '192.0.2.7' },
    request: sent,
  }
  const answers = engines.map((engine) => engine(text, JSON.stringify(event)))
  for (const answer of answers) assert.deepEqual(answer, answers[0], name)
  return answers[0]
}

function inNode(text, event) {
  return JSON.parse(vm.runInNewContext(`${text}\nJSON.stringify(handler(${event}))`, {}))
}

function inNjs(text, event) {
  const place = mkdtempSync(join(tmpdir(), 'gatepost-functions-'))
  try {
    const file = join(place, 'function.js')
    writeFileSync(file, `${text}\nconsole.log(JSON.stringify(handler(${event})))\n`)
    const run = spawnSync('njs', [file], { encoding: 'utf8' })
    assert.equal(run.status, 0, run.stdout + run.stderr)
    return JSON.parse(run.stdout)
  } finally {
    rmSync(place, { recursive: true })
  }
}
