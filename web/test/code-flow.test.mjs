// Signing in at an identity provider: the requests to it, and which of its answers are accepted.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { beforeEach, test } from 'node:test'

import { source } from './source.mjs'

const { begin, complete, isArrival } = await source('code-flow')

const FLOW = {
  client_id: 'page of a test',
  authorize: 'https://login.example.com/authorize?audience=media',
  token: 'https://login.example.com/oauth/token',
  issuer: null,
  scope: 'openid media:read',
  uses: 'access_token',
}
const TOKENS = { access_token: 'a token', id_token: 'another', token_type: 'Bearer', expires_in: 3600 }

let kept, asked
beforeEach(() => {
  kept = new Map()
  asked = []
  globalThis.location = { origin: 'https://photos.example.com', protocol: 'https:' }
  globalThis.sessionStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  }
  answer(200, TOKENS)
})

function answer(status, body, headers = { 'content-type': 'application/json' }) {
  globalThis.fetch = async (url, request) => {
    asked.push({ url: String(url), ...request, body: Object.fromEntries(request.body) })
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status, headers })
  }
}

/** Leaves the page, and returns with this query, whose state is replaced with the one sent. */
async function comeBack(query, flow = FLOW, returnTo = '/media/a/b/640.webp') {
  const address = new URL(await begin(flow, returnTo))
  const state = address.searchParams.get('state')
  return complete(flow, new URLSearchParams({ state, ...query }))
}

/** The challenge of RFC 7636, section 4.2, of which appendix B has an example. */
function challengeOf(verifier) {
  return createHash('sha256').update(verifier).digest('base64url')
}

test('the provider is asked for a code, and keeps its own parameters', async () => {
  assert.equal(
    challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'),
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  )
  const address = new URL(await begin(FLOW, '/'))
  assert.equal(address.origin + address.pathname, 'https://login.example.com/authorize')
  const { state, code_challenge, ...others } = Object.fromEntries(address.searchParams)
  assert.deepEqual(others, {
    audience: 'media',
    response_type: 'code',
    client_id: 'page of a test',
    redirect_uri: 'https://photos.example.com/',
    scope: 'openid media:read',
    code_challenge_method: 'S256',
  })
  const again = new URL(await begin(FLOW, '/'))
  for (const [name, text] of Object.entries({ state, code_challenge })) {
    assert.match(text, /^[A-Za-z0-9_-]{43}$/)
    assert.notEqual(again.searchParams.get(name), text)
  }
})

test('the code is exchanged with its verifier, once', async () => {
  const address = new URL(await begin(FLOW, '/media/a/b/640.webp'))
  const query = new URLSearchParams({ state: address.searchParams.get('state'), code: 'a code' })
  assert.ok(isArrival(query))
  assert.deepEqual(await complete(FLOW, query), { token: 'a token', returnTo: '/media/a/b/640.webp' })
  const [{ url, method, credentials, redirect, body }] = asked
  assert.deepEqual(
    [url, method, credentials, redirect],
    ['https://login.example.com/oauth/token', 'POST', 'omit', 'manual'],
  )
  const { code_verifier, ...others } = body
  assert.deepEqual(others, {
    grant_type: 'authorization_code',
    client_id: 'page of a test',
    redirect_uri: 'https://photos.example.com/',
    code: 'a code',
  })
  assert.equal(challengeOf(code_verifier), address.searchParams.get('code_challenge'))

  assert.deepEqual(await complete(FLOW, query), { failed: 'state' })
  assert.equal(asked.length, 1)
})

test('a failed exchange uses the verifier up', async () => {
  const state = new URL(await begin(FLOW, '/')).searchParams.get('state')
  answer(400, { error: 'invalid_grant' })
  assert.deepEqual(await complete(FLOW, new URLSearchParams({ state, code: 'x' })), { failed: 'invalid_grant' })
  assert.deepEqual(await complete(FLOW, new URLSearchParams({ state, code: 'x' })), { failed: 'state' })
  assert.deepEqual([...kept], [])
})

test('the token request needs no preflight', async () => {
  await comeBack({ code: 'x' })
  // The browser's own user agent: a header with this name is added outside of browsers only.
  const { 'user-agent': _, ...headers } = asked[0].headers
  assert.deepEqual(headers, {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded;charset=UTF-8',
  })
})

test('the ID token is used if configured', async () => {
  assert.deepEqual(await comeBack({ code: 'x' }, { ...FLOW, uses: 'id_token' }), {
    token: 'another',
    returnTo: '/media/a/b/640.webp',
  })
})

test('an answer without an access token is enough for the ID token', async () => {
  // Azure AD B2C, if only `openid` was asked for.
  answer(200, { id_token: 'a token', token_type: 'Bearer', scope: 'openid' })
  assert.equal((await comeBack({ code: 'x' }, { ...FLOW, uses: 'id_token' })).token, 'a token')
})

test('members that are not used may have any value', async () => {
  for (const uses of ['access_token', 'id_token']) {
    const unused = uses === 'id_token' ? 'access_token' : 'id_token'
    for (const name of [unused, 'scope', 'refresh_token', 'expires_in']) {
      for (const value of [null, '', 7, 'other', {}]) {
        answer(200, { ...TOKENS, [name]: value })
        const arrival = await comeBack({ code: 'x' }, { ...FLOW, uses })
        assert.equal(arrival.token, TOKENS[uses], `${uses}: ${name} is ${JSON.stringify(value)}`)
      }
    }
  }
})

test('an answer that names its issuer is accepted if the settings contain none', async () => {
  assert.equal((await comeBack({ code: 'x', iss: 'https://login.example.com/' })).token, 'a token')
})

test('an answer of another issuer is refused without a request', async () => {
  const flow = { ...FLOW, issuer: 'https://login.example.com/' }
  for (const iss of ['https://login.example.com', 'https://login.example.com/other', 'https://evil.example/'])
    assert.deepEqual(await comeBack({ code: 'x', iss }, flow), { failed: 'iss' }, iss)
  assert.equal(asked.length, 0)
  assert.equal((await comeBack({ code: 'x', iss: flow.issuer }, flow)).token, 'a token')
  // Not every provider names it.
  assert.equal((await comeBack({ code: 'x' }, flow)).token, 'a token')
})

test('an answer with another state is refused without a request', async () => {
  assert.deepEqual(await complete(FLOW, new URLSearchParams({ state: 'x', code: 'y' })), { failed: 'state' })
  assert.deepEqual(await comeBack({ state: 'guessed', code: 'x' }), { failed: 'state' })
  assert.deepEqual(await comeBack({ state: 'guessed', error: 'access_denied' }), { failed: 'state' })
  assert.deepEqual(await comeBack({ state: '', code: 'x' }), { failed: 'state' })
  assert.equal(asked.length, 0)
})

test('an answer with a repeated parameter is refused without a request', async () => {
  for (const repeated of ['state', 'code', 'iss']) {
    const state = new URL(await begin(FLOW, '/')).searchParams.get('state')
    const query = new URLSearchParams({ state, code: 'x', iss: 'https://login.example.com/' })
    query.append(repeated, query.get(repeated))
    const { failed } = await complete(FLOW, query)
    assert.ok(failed, repeated)
  }
  assert.equal(asked.length, 0)
})

test('an answer without a code, or with a token, is refused without a request', async () => {
  assert.deepEqual(await comeBack({ error: '' }), { failed: 'invalid_response' })
  assert.deepEqual(await comeBack({ code: '' }), { failed: 'invalid_response' })
  assert.deepEqual(await comeBack({ code: 'x', token: 'a.b.c' }), { failed: 'response_type' })
  assert.deepEqual(await comeBack({ code: 'x', id_token: 'a.b.c' }), { failed: 'response_type' })
  assert.equal(asked.length, 0)
})

test('a cancelled sign-in is reported with the provider’s error, without a request', async () => {
  assert.deepEqual(await comeBack({ error: 'access_denied' }), { failed: 'access_denied' })
  assert.deepEqual(await comeBack({ error: 'access_denied', code: 'x' }), { failed: 'access_denied' })
  assert.equal(asked.length, 0)
})

test('a token request that fails is reported', async () => {
  answer(400, { error: 'invalid_grant' })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'invalid_grant' })
  answer(401, { error: 'invalid_client' })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'invalid_client' })
  answer(400, { error: 7 })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: '400' })
  answer(401, {}, { 'www-authenticate': 'Basic realm="x"' })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: '401' })
  answer(500, {})
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: '500' })
  answer(502, '<html>', { 'content-type': 'text/html' })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: '502' })
  globalThis.fetch = () => Promise.reject(new TypeError('Failed to fetch'))
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'unreachable' })
})

test('a token request that is redirected is refused', async () => {
  // As a browser shows it to scripts.
  globalThis.fetch = async () => Object.defineProperties(Response.error(), { type: { value: 'opaqueredirect' } })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'redirect' })
})

test('an answer that is not JSON is refused', async () => {
  for (const text of ['<html>', '', '{']) {
    answer(200, text)
    assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'unreachable' }, text)
  }
})

test('an answer without the token that is used is refused', async () => {
  for (const body of [
    { id_token: 'only', token_type: 'Bearer' },
    { ...TOKENS, access_token: '' },
    { ...TOKENS, access_token: 1 },
    null,
    'text',
    [],
  ]) {
    answer(200, JSON.stringify(body))
    assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'access_token' }, JSON.stringify(body))
  }
  answer(200, { access_token: 'only', token_type: 'Bearer' })
  assert.deepEqual(await comeBack({ code: 'x' }, { ...FLOW, uses: 'id_token' }), { failed: 'id_token' })
})

test('a token of an unknown type is refused', async () => {
  for (const token_type of [undefined, null, '', 'mac']) {
    answer(200, { ...TOKENS, token_type })
    assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'invalid_response' }, token_type)
  }
})

test('an HTTPS page sends no code over HTTP', async () => {
  const local = { ...FLOW, token: 'http://127.0.0.1:8080/dev/token' }
  assert.deepEqual(await comeBack({ code: 'x' }, local), { failed: 'invalid_response' })
  assert.equal(asked.length, 0)
  globalThis.location = { origin: 'http://127.0.0.1:8080', protocol: 'http:' }
  assert.equal((await comeBack({ code: 'x' }, { ...FLOW, token: '/dev/token' })).token, 'a token')
  assert.equal(asked[0].url, 'http://127.0.0.1:8080/dev/token')
})

test('a return path on another site becomes the start page', async () => {
  for (const [wanted, returnTo] of [
    [null, '/'],
    ['/media/a/b.webp?x=1', '/media/a/b.webp?x=1'],
    ['//evil.example', '/'],
    ['/\\evil.example', '/'],
    ['https://evil.example', '/'],
    ['javascript:alert(1)', '/'],
    ['/\t/evil.example', '/'],
  ]) {
    const arrival = await comeBack({ code: 'x' }, FLOW, wanted)
    assert.equal(arrival.returnTo, returnTo, wanted)
  }
})

test('a page that is simply opened is not an arrival', () => {
  for (const query of ['', 'sign_in', 'code=1', 'state=1', 'return_to=%2F'])
    assert.ok(!isArrival(new URLSearchParams(query)), query)
  assert.ok(isArrival(new URLSearchParams('error=access_denied&state=1')))
})
