// The core of the page in every mode of delivery: upload, see, a stranger who is refused, sign out. Also what the page
// does when pictures are refused although the session goes on. Runs against the real binary in Chromium, like the other
// files in this folder.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { draw } from './drawing.mjs'
import { MINUTE, newPage, screenshot, startBrowser, startGatepost, until } from './gatepost.mjs'
import { focusUntil, look, waitForImage, waitForStatus } from './page.mjs'

/** The status of a picture for the wrong person, and for nobody. CloudFront and S3 know 403 alone. */
const MODES = [
  { mode: 'lambda', stranger: 403, nobody: 401 },
  { mode: 'function', stranger: 403, nobody: 401 },
  { mode: 'signed', stranger: 403, nobody: 403 },
  { mode: 'presigned', stranger: 403, nobody: 403 },
]
/** Large enough that a tile and the lightbox show different renditions. */
const SIZE = { width: 1600, height: 1200 }
const NAMES = ['first.jpg', 'second.jpg', 'third.jpg']

for (const { mode, stranger, nobody } of MODES) {
  describe(`delivery ${mode}`, { timeout: 5 * MINUTE }, () => {
    let gatepost, browser, visitor, page, photo

    before(async () => {
      gatepost = await startGatepost(undefined, { options: ['--delivery', mode] })
      browser = await startBrowser()
      visitor = await newPage(browser, gatepost.origin)
      page = visitor.page
    })

    after(async () => {
      await browser?.close()
      const code = await gatepost?.stop()
      assert.deepEqual(visitor?.complaints(), [], 'the browser reported no problems')
      assert.equal(code, 0, 'Ctrl-C stops Gatepost cleanly')
    })

    /** Signs somebody in, as an application's page does that has a token, and says nothing to this page. */
    async function signIn(subject) {
      const token = await gatepost.token(subject)
      const status = await page.evaluate(async (token) => {
        const response = await fetch('/api/session', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
        return response.status
      }, token)
      assert.equal(status, 201)
    }

    async function showsAll() {
      const images = page.getByTestId('photo').locator('img')
      await until(async () => (await images.count()) === NAMES.length)
      for (const image of await images.all()) await waitForImage(image)
    }

    test('a person signs in, uploads photos and sees them', async () => {
      const files = []
      for (const [idx, name] of NAMES.entries()) {
        files.push({ name, mimeType: 'image/jpeg', buffer: await draw(page, { ...SIZE, seed: idx }) })
      }
      await page.goto('/?sign_in')
      await page.getByTestId('sign-in-alice').click()
      await page.getByTestId('gallery-empty').waitFor()

      const posts = []
      page.on('request', (request) => request.method() === 'POST' && posts.push(new URL(request.url())))
      await page.getByTestId('file-input').setInputFiles(files)
      for (const name of NAMES) await waitForStatus(page, name, 'ready')
      await showsAll()
      for (const image of await page.getByTestId('upload').locator('img').all()) await waitForImage(image)
      const forms = posts.filter(({ pathname }) => !pathname.startsWith('/api/'))
      assert.equal(forms.length, NAMES.length)
      for (const { origin, pathname } of forms) {
        assert.equal(`${origin}${pathname}` === `${gatepost.origin}/upload`, mode === 'presigned')
      }
      await page.getByRole('button', { name: 'Clear finished' }).click()
      await page.mouse.move(0, 0)
      await screenshot(page, `delivery-${mode}`)

      await page.getByTestId('photo').first().click()
      await waitForImage(page.getByTestId('lightbox').locator('img'))
      await page.keyboard.press('Escape')

      const { items } = await (await page.request.get('/api/media')).json()
      const first = page.getByTestId('photo').first()
      const shownId = await first.getAttribute('data-id')
      const largest = items.find(({ id }) => id === shownId).renditions[0]
      const shown = await first.locator('img').getAttribute('src')
      const url = new URL(shown, gatepost.origin)
      assert.deepEqual([url.origin, url.pathname], [gatepost.origin, largest.path])
      assert.equal(url.searchParams.has('X-Amz-Signature'), mode === 'presigned')
      photo = largest.path
    })

    if (mode === 'signed') {
      test('pictures whose cookies are lost are shown after one renewal of the session', async () => {
        let nRenewed = 0
        const count = (request) => (nRenewed += Number(request.method() === 'POST'))
        page.on('request', count)
        await page.context().clearCookies({ name: /^CloudFront-/ })
        await page.getByTestId('photo').last().click()
        await waitForImage(page.getByTestId('lightbox').locator('img'))
        await page.keyboard.press('Escape')
        page.off('request', count)
        assert.equal(nRenewed, 1)
      })
    }

    if (mode === 'presigned') {
      const SPOILT = 'X-Amz-Signature=00000000'
      const isListing = (url) => url.pathname === '/api/media'

      /** Makes S3 refuse the URLs of some of the listings from now on, which are counted from 1. */
      async function spoil(isSpoilt) {
        const seen = { listings: 0 }
        await page.route(isListing, async (route) => {
          seen.listings += 1
          const number = seen.listings
          const response = await route.fetch()
          const body = await response.text()
          const spoilt = body.replaceAll(/X-Amz-Signature=[0-9a-f]{8}/g, SPOILT)
          await route.fulfill({ response, body: isSpoilt(number) ? spoilt : body })
        })
        return seen
      }

      test('pictures whose URLs are refused are shown with the URLs of one more listing', async () => {
        const seen = await spoil((number) => number === 1)
        await page.reload()
        await showsAll()
        await page.unroute(isListing)
        assert.equal(seen.listings, 2)
      })

      test('an open page takes new URLs before they expire, and loads no picture again', async () => {
        // They are recognised as new, and would be refused.
        const seen = await spoil((number) => number > 1)
        await page.clock.install()
        const listed = page.waitForResponse((response) => isListing(new URL(response.url())))
        await page.reload()
        const { urls_expire_at } = await (await listed).json()
        await showsAll()
        await page.getByTestId('photo').first().click()
        await waitForImage(page.getByTestId('lightbox').locator('img'))

        const requested = []
        const note = (request) => requested.push(new URL(request.url()).pathname)
        page.on('request', note)
        await page.clock.fastForward(Date.parse(urls_expire_at) - Date.now())
        const link = page.getByTestId('lightbox').getByRole('link')
        await until(async () => (await link.getAttribute('href')).includes(SPOILT))
        await page.evaluate(() => new Promise(requestAnimationFrame))
        page.off('request', note)
        assert.deepEqual(requested, ['/api/media'])
        assert.equal(seen.listings, 2)
        await page.unroute(isListing)
        await page.keyboard.press('Escape')
      })

      test('pictures that stay refused stay broken, and nothing is repeated', async () => {
        const seen = await spoil(() => true)
        await page.reload()
        await until(() => seen.listings === 2)
        const areBroken = async () =>
          (await page.locator('.tile .picture[data-state="broken"]').count()) === NAMES.length
        await until(areBroken)
        await page.getByTestId('photo').first().click()
        await page.getByTestId('lightbox').locator('.picture[data-state="broken"]').waitFor()
        await screenshot(page, 'refused-pictures')
        await page.keyboard.press('Escape')
        // Another look at the page asks for the session alone. It may share a request that is already in progress, so that
        // only the second request is certain to follow it.
        let nAsked = 0
        const count = (request) => (nAsked += Number(new URL(request.url()).pathname === '/api/session'))
        page.on('request', count)
        await focusUntil(page, () => nAsked >= 2)
        page.off('request', count)
        await page.unroute(isListing)
        await until(areBroken)
        assert.equal(seen.listings, 2)
        assert.equal(await page.getByTestId('session-over').isHidden(), true)
      })
    }

    // A presigned URL needs no session.
    if (mode !== 'presigned') {
      test('a picture that is refused without a session is shown when the person has signed in again', async () => {
        // Chromium prefers a rendition that it has already, and would show that.
        const devtools = await page.context().newCDPSession(page)
        await devtools.send('Network.clearBrowserCache')
        await devtools.detach()
        await page.reload()
        await showsAll()
        await page.context().clearCookies()
        await page.getByTestId('photo').first().click()
        await page.getByTestId('lightbox').locator('.picture[data-state="broken"]').waitFor()
        await until(() => page.getByTestId('session-over').evaluate((banner) => !banner.hidden))
        await signIn('alice')
        await focusUntil(page, () => page.getByTestId('session-over').isHidden())
        await waitForImage(page.getByTestId('lightbox').locator('img'))
        assert.equal(await page.getByTestId('session-over').isHidden(), true)
        await page.keyboard.press('Escape')
      })
    }

    test('another person at the same browser is refused', async () => {
      assert.equal((await look(page, photo)).status === 200, mode !== 'presigned', 'a path without a signature')
      await signIn('bob')
      assert.equal((await look(page, photo)).status, stranger)
      const owner = photo.split('/')[2]
      const cookies = await page.context().cookies()
      assert.deepEqual(
        cookies.filter(({ path }) => path.includes(owner)).map(({ name, path }) => `${name} of ${path}`),
        [],
      )
      assert.equal(
        cookies.some(({ name, path }) => name.startsWith('CloudFront-') && path.startsWith('/media/')),
        mode === 'signed',
      )
      await page.goto('/')
      await page.getByTestId('who').filter({ hasText: 'bob' }).waitFor()
      await page.getByTestId('gallery-empty').waitFor()
    })

    test('after signing out a picture is refused', async () => {
      await signIn('alice')
      await page.goto('/')
      await showsAll()
      await page.getByTestId('sign-out').click()
      await page.getByTestId('sign-in').waitFor()
      assert.equal((await look(page, photo)).status, nobody)
      assert.deepEqual(await page.context().cookies(), [])
      assert.equal((await fetch(`${gatepost.origin}${photo}`)).status, nobody, 'a program without cookies')
    })
  })
}
