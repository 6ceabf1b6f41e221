// Signing in at an identity provider on another site, as on a deployed page: the provider's page, a cross-origin token
// request, a session of the real API. The test runs its own provider, whose token the API trusts. The page's policy is
// widened in the same way as by `web_connects_to` in `infra/`.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'

import { newPage, PATIENCE_MS, startBrowser, startGatepost } from './gatepost.mjs'

describe('another site signs people in', { timeout: 10 * PATIENCE_MS }, () => {
  let gatepost, browser, provider, origin
  /** The requests to the provider, and its answers. */
  let asked, answers
  /** Whether a code has reached another address than that of the token request. */
  let codeSentOn = false

  before(async () => {
    gatepost = await startGatepost()
    browser = await startBrowser()
    provider = createServer(provide)
    provider.listen(0, '127.0.0.1')
    await once(provider, 'listening')
    origin = `http://127.0.0.1:${provider.address().port}`
  })

  after(async () => {
    await browser?.close()
    provider?.close()
    await gatepost?.stop()
  })

  async function provide(request, response) {
    const { pathname, searchParams } = new URL(request.url, origin)
    if (pathname === '/authorize') {
      asked = searchParams
      const back = new URLSearchParams({ state: searchParams.get('state'), ...answers.authorize })
      // A page that redirects: the browser's driver cannot change the target of an HTTP redirect.
      response.writeHead(200, { 'content-type': 'text/html' })
      return response.end(`<meta http-equiv="refresh" content="0; url=${searchParams.get('redirect_uri')}?${back}">`)
    }
    if (pathname !== '/token') codeSentOn = true
    const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString())
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const isGood = form.get('code') === 'a code' && challenge === asked.get('code_challenge')
    const headers = { 'content-type': 'application/json', 'access-control-allow-origin': gatepost.origin }
    if (answers.movedTo) return response.writeHead(307, { ...headers, location: answers.movedTo }).end()
    response.writeHead(isGood ? 200 : 400, headers)
    response.end(JSON.stringify(isGood ? answers.token : { error: 'invalid_grant' }))
  }

  /** A page with the settings and the policy of a deployment with this provider. */
  async function visit() {
    const visitor = await newPage(browser, gatepost.origin)
    const settings = {
      sign_in: {
        client_id: 'page',
        authorize: `${origin}/authorize?audience=media`,
        token: `${origin}/token`,
        scope: 'openid',
        uses: 'access_token',
      },
      types: ['image/png'],
      max_bytes: 1024,
    }
    await visitor.page.route('**/settings.json', (route) => route.fulfill({ json: settings }))
    await visitor.page.route(
      (url) => url.origin === gatepost.origin && url.pathname === '/',
      async (route) => {
        const response = await route.fetch()
        const headers = response.headers()
        const policy = headers['content-security-policy'].replace('connect-src ', `connect-src ${origin} `)
        await route.fulfill({ response, headers: { ...headers, 'content-security-policy': policy } })
      },
    )
    await visitor.page.goto('/')
    return visitor
  }

  test('a token of the provider becomes a session, and is stored nowhere', async () => {
    answers = {
      authorize: { code: 'a code' },
      token: { access_token: await gatepost.token('carol'), token_type: 'Bearer' },
    }
    const { page, complaints, close } = await visit()
    await page.getByTestId('sign-in').click()
    await page.getByTestId('who').waitFor()
    assert.equal(await page.getByTestId('who').innerText(), 'carol')
    assert.equal(asked.get('audience'), 'media')
    assert.equal(page.url(), `${gatepost.origin}/`)
    assert.match(await page.locator('#intake-limits').innerText(), /^PNG, up to 1 KB each$/)
    assert.deepEqual(
      (await page.context().cookies()).map(({ name, httpOnly, secure }) => ({ name, httpOnly, secure })),
      [{ name: '__Host-gatepost', httpOnly: true, secure: true }],
    )
    await page.reload()
    assert.equal(await page.getByTestId('who').innerText(), 'carol')
    assert.deepEqual(complaints(), [])
    await close()
  })

  for (const [name, given, said] of [
    ['a cancelled sign-in is reported', { authorize: { error: 'access_denied' } }, /access_denied/],
    ['an invalid code is reported', { authorize: { code: 'another' } }, /invalid_grant/],
    [
      'a token that the API refuses is reported',
      { authorize: { code: 'a code' }, token: { access_token: 'a.b.c', token_type: 'Bearer' } },
      /doesn’t accept/,
    ],
    [
      'a token of an unknown type is reported',
      { authorize: { code: 'a code' }, token: { access_token: 'a.b.c', token_type: 'mac' } },
      /invalid_response/,
    ],
    ['a redirected token request is reported', { authorize: { code: 'a code' }, movedTo: '/elsewhere' }, /redirect/],
  ]) {
    test(name, async () => {
      answers = given
      const { page, close } = await visit()
      await page.getByTestId('sign-in').click()
      await page.getByTestId('sign-in-notice').waitFor()
      assert.match(await page.getByTestId('sign-in-notice').innerText(), said)
      assert.deepEqual(await page.context().cookies(), [])
      assert.equal(codeSentOn, false)
      await close()
    })
  }
})
