// What the timing compares gate.js with: a function with the duties of a plain JWT check at the edge. It reads the secret
// from the KeyValueStore, parses header and claims, compares the signature in constant time, checks the times, and
// removes the token. It knows no rules, no paths and no owners.

import cf from 'cloudfront'
import crypto from 'crypto'

const KEY = 'session/reference'

async function handler(event) {
  const request = event.request
  const cookie = request.cookies['__Host-gatepost']
  if (!cookie) return unauthorized()
  try {
    const secret = await cf.kvs().get(KEY)
    verify(cookie.value, secret)
  } catch (_) {
    return unauthorized()
  }
  delete request.cookies['__Host-gatepost']
  return request
}

function verify(token, secret) {
  const parts = token.split('.')
  if (parts.length !== 3) throw new Error('not a token')
  const header = JSON.parse(decoded(parts[0]))
  const claims = JSON.parse(decoded(parts[1]))
  if (header.alg !== 'HS256') throw new Error('another algorithm')
  const expected = crypto
    .createHmac('sha256', Buffer.from(secret, 'base64url'))
    .update(parts[0] + '.' + parts[1])
    .digest('base64url')
  if (!areEqual(expected, parts[2])) throw new Error('another signature')
  const now = Date.now() / 1000
  if (claims.nbf && now < claims.nbf) throw new Error('not yet valid')
  if (claims.exp && now > claims.exp) throw new Error('expired')
}

function decoded(part) {
  return Buffer.from(part, 'base64url').toString()
}

function areEqual(one, other) {
  if (one.length !== other.length) return false
  let difference = 0
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at)
  return difference === 0
}

function unauthorized() {
  return { statusCode: 401, statusDescription: 'Unauthorized' }
}
