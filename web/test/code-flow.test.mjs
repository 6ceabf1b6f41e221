// Signing in at an identity provider: the requests to it, and which of its answers are accepted.

import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'

import { source } from './source.mjs'

const { begin, challengeOf, complete, isArrival } = await source('code-flow')

const FLOW = {
  client_id: 'page of a test',
  authorize: 'https://login.example.com/authorize?audience=media',
  token: 'https://login.example.com/oauth/token',
  scope: 'openid media:read',
  uses: 'access_token',
}

let kept, asked
beforeEach(() => {
  kept = new Map()
  asked = []
  globalThis.location = { origin: 'https://photos.example.com' }
  globalThis.sessionStorage = {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => kept.set(key, value),
    removeItem: (key) => kept.delete(key),
  }
  answer(200, { access_token: 'a token', id_token: 'another', token_type: 'Bearer' })
})

function answer(status, body) {
  globalThis.fetch = async (url, request) => {
    asked.push({ url: String(url), ...request, body: Object.fromEntries(request.body) })
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status })
  }
}

/** Leaves the page, and returns with this query, whose state is replaced with the one sent. */
async function comeBack(query, flow = FLOW, returnTo = '/media/a/b/640.webp') {
  const address = new URL(await begin(flow, returnTo))
  const state = address.searchParams.get('state')
  return complete(flow, new URLSearchParams({ state, ...query }))
}

test('the challenge is that of RFC 7636, appendix B', async () => {
  assert.equal(await challengeOf('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'), 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
})

test('the provider is asked for a code, and keeps its own parameters', async () => {
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
  const [{ url, method, credentials, body }] = asked
  assert.deepEqual([url, method, credentials], ['https://login.example.com/oauth/token', 'POST', 'omit'])
  const { code_verifier, ...others } = body
  assert.deepEqual(others, {
    grant_type: 'authorization_code',
    client_id: 'page of a test',
    redirect_uri: 'https://photos.example.com/',
    code: 'a code',
  })
  assert.equal(await challengeOf(code_verifier), address.searchParams.get('code_challenge'))

  assert.deepEqual(await complete(FLOW, query), { failed: 'state' })
  assert.equal(asked.length, 1)
})

test('the ID token is used if configured', async () => {
  assert.deepEqual(await comeBack({ code: 'x' }, { ...FLOW, uses: 'id_token' }), { token: 'another', returnTo: '/media/a/b/640.webp' })
})

test('an answer with another state is refused without a request', async () => {
  assert.deepEqual(await complete(FLOW, new URLSearchParams({ state: 'x', code: 'y' })), { failed: 'state' })
  assert.deepEqual(await comeBack({ state: 'guessed', code: 'x' }), { failed: 'state' })
  assert.equal(asked.length, 0)
})

test('a failure is reported with the provider\u2019s error', async () => {
  assert.deepEqual(await comeBack({ error: 'access_denied' }), { failed: 'access_denied' })
  answer(400, { error: 'invalid_grant' })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'invalid_grant' })
  answer(500, {})
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: '500' })
  answer(502, '<html>')
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'unreachable' })
  answer(200, { id_token: 'only' })
  assert.deepEqual(await comeBack({ code: 'x' }), { failed: 'access_token' })
})

test('the way back stays on the site', async () => {
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
  for (const query of ['', 'sign_in', 'code=1', 'state=1', 'return_to=%2F']) assert.ok(!isArrival(new URLSearchParams(query)), query)
  assert.ok(isArrival(new URLSearchParams('error=access_denied&state=1')))
})
