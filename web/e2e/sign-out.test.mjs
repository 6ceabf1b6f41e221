// After signing out, a browser shows nothing of that person, not even from its own cache, and nothing to the next person
// who signs in. Runs against the real binary in Chromium, like the other files in this folder.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { uploadAs } from './client.mjs'
import { draw } from './drawing.mjs'
import { MINUTE, newPage, startBrowser, startGatepost } from './gatepost.mjs'

const OWN_MEDIA_ALONE = `
[token]
from = ["authorization", "cookie:__Host-gatepost"]
[[rules]]
path  = "/media/{owner}/**"
allow = "owner"
`

for (const { keeps, config } of [
  { keeps: false, config: OWN_MEDIA_ALONE },
  { keeps: true, config: `${OWN_MEDIA_ALONE}[media]\nbrowser_cache = "15m"\n` },
]) {
  describe(`a browser that ${keeps ? 'may keep pictures' : 'revalidates pictures'}`, { timeout: 10 * MINUTE }, () => {
    let gatepost, browser, visitor, path

    before(async () => {
      gatepost = await startGatepost(config)
      browser = await startBrowser()
      visitor = await newPage(browser, gatepost.origin)
      const { renditions } = await uploadAs(gatepost, 'alice', await draw(visitor.page))
      path = renditions.at(-1).path
    })

    after(async () => {
      await browser?.close()
      await gatepost?.stop()
    })

    /** Signs somebody in that no page sees. */
    async function signIn(subject) {
      const authorization = `Bearer ${await gatepost.token(subject)}`
      const answer = await visitor.page.request.post('/api/session', { headers: { authorization } })
      assert.equal(answer.status(), 201)
    }

    test(`a second look ${keeps ? 'makes no request' : 'is authorized and transfers no picture'}`, async () => {
      const { page } = visitor
      await signIn('alice')
      await page.goto('/')
      await page.getByTestId('who').waitFor()
      const first = await look(page, path)
      assert.equal(first.status, 200)
      assert.equal(first.cacheControl, keeps ? 'private, max-age=900' : 'private, no-cache')
      const second = await look(page, path)
      assert.equal(second.status, 200)
      assert.ok(second.size > 1000, `a picture of ${second.size} bytes`)
      if (keeps) assert.equal(second.transferred, 0)
      else
        assert.ok(second.transferred > 0 && second.transferred < second.size, `${second.transferred} bytes for a 304`)
    })

    // Nothing tells the browser to empty its cache here: a person who closes the lid has not signed out.
    test(`a picture without a session is ${keeps ? 'shown until it expires' : 'refused'}`, async () => {
      const { page } = visitor
      await page.context().clearCookies()
      assert.equal((await look(page, path)).status, keeps ? 200 : 401)
      assert.equal(await isShown(page, path), keeps)
    })

    test(`a picture of somebody else is ${keeps ? 'shown until it expires' : 'refused'}`, async () => {
      const { page } = visitor
      await signIn('bob')
      assert.equal((await look(page, path)).status, keeps ? 200 : 403)
      assert.equal(await isShown(page, path), keeps)
    })

    // Clear-Site-Data empties the cache as well, but nobody says when.
    if (keeps) return
    test('a picture is refused after its owner has signed out', async () => {
      const { page } = visitor
      await signIn('alice')
      await page.goto('/')
      assert.equal((await look(page, path)).status, 200)
      await page.getByTestId('sign-out').click()
      await page.getByTestId('sign-in').waitFor()
      assert.equal((await look(page, path)).status, 401)
      assert.equal(await isShown(page, path), false)
      await signIn('bob')
      assert.equal((await look(page, path)).status, 403)
      assert.equal(await isShown(page, path), false)
    })
  })
}

/** The answer that a script of the page gets, as an image would, and how much of it came over the network. */
function look(page, path) {
  return page.evaluate(async (path) => {
    performance.clearResourceTimings()
    const response = await fetch(path)
    const { byteLength: size } = await response.arrayBuffer()
    // The entry is there a moment after the answer.
    const find = () => performance.getEntriesByType('resource').at(-1)
    while (!find()) await new Promise(requestAnimationFrame)
    return {
      status: response.status,
      cacheControl: response.headers.get('cache-control'),
      size,
      transferred: find().transferSize,
    }
  }, path)
}

/** Whether the browser shows the picture in a page that has not shown it before. */
async function isShown(page, path) {
  const other = await page.context().newPage()
  try {
    await other.goto('/settings.json')
    return await other.evaluate(
      (path) =>
        new Promise((resolve) => {
          const image = new Image()
          image.onload = () => resolve(true)
          image.onerror = () => resolve(false)
          image.src = path
        }),
      path,
    )
  } finally {
    await other.close()
  }
}
