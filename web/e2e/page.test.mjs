// The whole journey of a user: sign in, drop a photo and a text file, see the outcome of each, look at the gallery, be
// refused access to another user's photos. Runs against the real binary (GATEPOST_BIN) with a real photo
// (GATEPOST_PHOTO, a JPEG) in Chromium (GATEPOST_CHROMIUM). With GATEPOST_SCREENSHOTS set, screenshots go to that
// folder.
//
// The tests do not depend on the machine's speed: a relay holds uploads where a test needs it. A test that counts
// photos has its own user, so that other tests' photos do not matter.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { newPage, PATIENCE_MS, required, screenshot, startBrowser, startGatepost, startRelay } from './gatepost.mjs'

const SECOND = 1000
const MINUTE = 60 * SECOND
/** More than the buffers of all sockets on the path, so that an upload of it can be held midway. */
const LARGE_BYTES = 16 * 1000 * 1000

describe('the page', { timeout: 30 * MINUTE }, () => {
  const photoPath = required('GATEPOST_PHOTO')
  const photoName = basename(photoPath)
  let gatepost, relay, browser, alice, photo, largePhoto
  const pages = []

  before(async () => {
    photo = { name: photoName, mimeType: 'image/jpeg', buffer: await readFile(photoPath) }
    // Data after a JPEG's end is ignored.
    largePhoto = { ...photo, buffer: Buffer.concat([photo.buffer], LARGE_BYTES) }
    gatepost = await startGatepost()
    relay = await startRelay(gatepost)
    browser = await startBrowser(relay)
    alice = await newPage(browser, gatepost.origin)
    pages.push(alice)
  })

  after(async () => {
    await browser?.close()
    relay?.stop()
    await gatepost?.stop()
  })

  /** Signs somebody in without the page noticing, as in another window. */
  async function signIn(page, subject) {
    const authorization = `Bearer ${await gatepost.token(subject)}`
    assert.equal((await page.request.post('/api/session', { headers: { authorization } })).status(), 201)
  }

  /** The page of a user without photos, with a clock that can be advanced. */
  async function newcomer(subject) {
    const visitor = await newPage(browser, gatepost.origin)
    pages.push(visitor)
    const { page } = visitor
    await page.clock.install()
    await signIn(page, subject)
    await page.goto('/')
    await page.getByTestId('gallery-empty').waitFor()
    return visitor
  }

  test('a visitor without a session is offered to sign in', async () => {
    const { page } = alice
    await page.goto('/')
    await page.getByTestId('sign-in').waitFor()
    await screenshot(page, '1-signed-out')
    assert.equal(await page.getByTestId('file-input').count(), 0)

    await page.getByTestId('sign-in').click()
    await page.getByTestId('sign-in-alice').waitFor()
    await screenshot(page, '2-sign-in')
    await page.getByTestId('sign-in-alice').click()
    await page.getByTestId('who').waitFor()
    assert.equal(await page.getByTestId('who').innerText(), 'alice')
    assert.equal(page.url(), `${gatepost.origin}/`, 'no code is left in the address')
    await page.getByTestId('gallery-empty').waitFor()
    assert.equal(
      await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage })),
      '{}',
      'no token is kept',
    )
  })

  test('a photo becomes a thumbnail, a text file named .jpg is refused with a reason', async () => {
    const { page } = alice
    const { release } = relay.hold('requests')
    try {
      await page.getByTestId('file-input').setInputFiles([
        largePhoto,
        {
          name: 'notes.jpg',
          mimeType: 'image/jpeg',
          buffer: Buffer.from('Dear diary, this is not a picture.\n'.repeat(64)),
        },
      ])
      // Real progress: it passes through values between 0 and 100 %.
      await waitUntilPartlySent(page, photoName)
      assert.equal(await row(page, photoName).getAttribute('data-status'), 'uploading')
      await screenshot(page, '3-uploading', { animations: 'allow' })
    } finally {
      release()
    }

    await waitForStatus(page, 'notes.jpg', 'rejected')
    const reason = await row(page, 'notes.jpg').getByTestId('reason').innerText()
    assert.match(reason, /\w{3,}.*\w{3,}/, 'the reason is a sentence')

    await waitForStatus(page, photoName, 'ready')
    const thumbnail = row(page, photoName).locator('button img')
    await waitForImage(thumbnail)
    assert.match(await thumbnail.getAttribute('src'), /^\/media\//)
    await waitForImage(page.getByTestId('photo').first().locator('img'))
    assert.equal(await page.getByTestId('photo').count(), 1)
    await screenshot(page, '4-done')
  })

  test('the gallery is still there after a reload', async () => {
    const { page } = alice
    await page.reload()
    await waitForImage(page.getByTestId('photo').locator('img'))
    assert.equal(await page.getByTestId('photo').count(), 1)
    assert.equal(await page.getByTestId('upload').count(), 0)
    await page.mouse.move(0, 0)
    await screenshot(page, '5-gallery')
  })

  test('the second look at a rendition comes from the cache', async () => {
    const { page } = alice
    const path = await largestRendition(page)
    assert.match(path, /^\/media\/[a-z2-7]{26}\/[a-z0-9]{26}\/[^/]+$/)
    const first = await look(page, path)
    const second = await look(page, path)
    assert.deepEqual([first.status, second.status], [200, 200])
    assert.notEqual(first.cache, 'Hit from gatepost', 'the largest one was not requested before')
    assert.equal(second.cache, 'Hit from gatepost')
  })

  test('the keyboard opens a photo, walks and closes it', async () => {
    const { page } = alice
    await page.getByTestId('photo').focus()
    await page.keyboard.press('Enter')
    const image = page.getByTestId('lightbox').locator('img')
    await waitForImage(image)
    assert.equal(await focused(page), 'lightbox-close', 'another Enter deletes nothing')
    const { width, height } = await image.boundingBox()
    assert.ok(Math.max(width, height) > 600, 'it is shown large')
    await screenshot(page, '6-lightbox')
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Escape')
    await page.getByTestId('lightbox').waitFor({ state: 'hidden' })
    assert.equal(await focused(page), 'photo')
  })

  test('a file that the browser can judge is refused at once, and nothing is sent', async () => {
    const { page } = alice
    const asked = []
    const listen = (request) => request.method() === 'POST' && asked.push(request.url())
    page.on('request', listen)
    await page.getByTestId('file-input').setInputFiles([
      { name: 'IMG_0001.HEIC', mimeType: '', buffer: Buffer.from('ftypheic') },
      { name: 'letter.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7') },
      { name: 'empty.png', mimeType: 'image/png', buffer: Buffer.alloc(0) },
      { name: 'huge.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(25 * 1024 * 1024 + 1) },
    ])
    await waitForStatus(page, 'huge.jpg', 'rejected')
    const reasons = await page.getByTestId('reason').allInnerTexts()
    assert.equal(reasons.length, 4)
    assert.match(reasons[0], /Most Compatible/)
    assert.match(reasons[1], /a JPEG, PNG or WebP image/)
    assert.match(reasons[2], /empty/)
    assert.match(reasons[3], /has 25\.1 MB; the limit is 25 MB/)
    page.off('request', listen)
    assert.deepEqual(asked, [])
    await page.getByRole('button', { name: 'Clear finished' }).click()
    assert.equal(await page.getByTestId('upload').count(), 0)
  })

  test('an expired form is signed again on retry', async () => {
    const { page, close } = await newcomer('carol')
    let signed = 0
    const count = (request) =>
      (signed += Number(request.method() === 'POST' && new URL(request.url()).pathname === '/api/uploads'))
    page.on('request', count)
    const toStorage = (url) => url.origin !== gatepost.origin
    const storagePath = new Promise((resolve) => {
      void page.route(toStorage, async (route) => {
        const path = new URL(route.request().url()).pathname
        resolve(path)
        page.expectedRefusals = [path]
        await route.fulfill({
          status: 403,
          contentType: 'application/xml',
          headers: { 'access-control-allow-origin': '*' },
          body: '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Invalid according to Policy: Policy expired.</Message></Error>',
        })
      })
    })
    await page.getByTestId('file-input').setInputFiles([photo])
    await storagePath
    await waitForStatus(page, photoName, 'failed')
    assert.match(await row(page, photoName).getByTestId('reason').innerText(), /run out/)
    // Only the next added file is sent.
    await page.getByTestId('file-input').setInputFiles([{ ...photo, name: 'next.jpg' }])
    await waitForStatus(page, 'next.jpg', 'failed')
    assert.equal(signed, 2)
    await page.getByRole('button', { name: 'Remove next.jpg' }).click()
    assert.equal(await focused(page), 'retry')
    await page.unroute(toStorage)
    page.expectedRefusals = []

    // The first try may have arrived although its answer was lost.
    const deletions = deletionsOf(page)
    await row(page, photoName).getByTestId('retry').click()
    await waitForStatus(page, photoName, 'ready')
    await until(() => deletions.length > 0)
    assert.equal(await statusOf(page, idIn(deletions[0])), 'deleted')
    assert.equal(signed, 3)
    assert.equal(await page.getByTestId('photo').count(), 1)
    await close()
  })

  test('a cancelled upload leaves nothing behind, and is deleted once', async () => {
    const { page, close } = await newcomer('dave')
    const deletions = deletionsOf(page)
    const { release } = relay.hold('requests')
    let id
    try {
      id = await add(page, largePhoto)
      await waitUntilPartlySent(page, photoName)
      await cancel(page, photoName)
    } finally {
      release()
    }
    await until(async () => (await statusOf(page, id)) === 'deleted')
    await page.clock.fastForward(10 * MINUTE)
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    assert.deepEqual(deletions, [`/api/media/${id}`])
    await close()
  })

  test('an upload that had arrived when it was cancelled is deleted', async () => {
    const { page, close } = await newcomer('frank')
    const { answered, release } = relay.hold('answers')
    try {
      const id = await add(page, photo)
      assert.equal(await answered, 204)
      assert.equal(await row(page, photoName).getAttribute('data-status'), 'uploading')
      await cancel(page, photoName)
      await until(async () => !(await gatepost.hasOriginal(id)))
      assert.equal(await statusOf(page, id), 'deleted')
    } finally {
      release()
    }
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    await close()
  })

  test('an upload that arrives after it was cancelled and the page was left is deleted', async () => {
    const { page, close } = await newcomer('grace')
    const deletions = deletionsOf(page)
    const { received, answered, release } = relay.hold('arrivals')
    try {
      const id = await add(page, photo)
      await received
      // Immediately: the page lives only long enough to send one request.
      await page.getByRole('button', { name: `Cancel ${photoName}` }).evaluate((button) => {
        button.click()
        location.reload()
      })
      await page.getByTestId('gallery-empty').waitFor()
      await until(async () => (await statusOf(page, id)) === 'deleted')
      assert.ok(deletions.length <= 1, `it was deleted once: ${deletions}`)
      assert.equal(await gatepost.hasOriginal(id), false)

      release()
      assert.equal(await answered, 204, 'the file has arrived')
      await until(async () => !(await gatepost.hasOriginal(id)))
      assert.equal(await statusOf(page, id), 'deleted')
    } finally {
      release()
    }
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    await close()
  })

  test('a deletion that fails is repeated, and the page says when it gives up', async () => {
    const { page, close } = await newcomer('ivan')
    const deletions = deletionsOf(page)
    const isDeletion = (url) => url.pathname.startsWith('/api/media/')
    const fail = (route) => route.fulfill({ status: 503 })
    await page.route(isDeletion, fail)
    // A toast disappears after some seconds; advancing the clock skips them.
    await page.evaluate(() => {
      window.toasts = []
      const keep = (changes) =>
        window.toasts.push(...changes.flatMap(({ addedNodes }) => [...addedNodes].map((node) => node.textContent)))
      new MutationObserver(keep).observe(document.body, { childList: true })
    })
    const cancelOne = async () => {
      const id = await add(page, largePhoto)
      page.expectedRefusals = [`/api/media/${id}`]
      await waitUntilPartlySent(page, photoName)
      await cancel(page, photoName)
      return id
    }
    const { release } = relay.hold('requests')
    try {
      const id = await cancelOne()
      await until(() => deletions.length === 1)
      await page.unroute(isDeletion)
      await until(async () => (await statusOf(page, id)) === 'deleted')
      assert.equal(deletions.length, 2)
      assert.deepEqual(await page.evaluate(() => window.toasts), [])

      await page.route(isDeletion, fail)
      await cancelOne()
      await until(async () => {
        await page.clock.fastForward(5 * MINUTE)
        return page.evaluate(() => window.toasts.length > 0)
      })
      const sentence = `A copy of ${photoName} couldn’t be deleted. If it appears in your photos, delete it there.`
      assert.deepEqual(await page.evaluate(() => window.toasts), [sentence])
      assert.equal(deletions.length, 2 + 6)
    } finally {
      release()
    }
    await close()
  })

  test('an upload that is deleted elsewhere during processing leaves the list', async () => {
    const { page, close } = await newcomer('judy')
    // The page gets no outcome until the upload is deleted.
    let isDeleted
    const deletion = new Promise((resolve) => (isDeleted = resolve))
    await page.route(isStatus, async (route) => {
      await deletion
      await route.continue()
    })
    const id = await add(page, photo)
    await waitForStatus(page, photoName, 'processing')
    await row(page, photoName).getByTestId('remove').focus()

    const tab = await page.context().newPage()
    await tab.goto('/')
    assert.equal(
      await tab.evaluate(async (id) => (await fetch(`/api/media/${id}`, { method: 'DELETE' })).status, id),
      204,
    )
    await tab.close()
    isDeleted()
    await row(page, photoName).waitFor({ state: 'detached' })
    await page
      .getByTestId('toast')
      .filter({ hasText: `${photoName} was deleted.` })
      .waitFor()
    await screenshot(page, '16-deleted-elsewhere')
    assert.equal(await focused(page), 'file-input')
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    await close()
  })

  test('an upload that is cancelled during the check is deleted', async () => {
    const { page, close } = await newcomer('kim')
    // The page is not told that it is ready.
    let isCancelled
    const cancelled = new Promise((resolve) => (isCancelled = resolve))
    await page.route(isStatus, async (route) => {
      await cancelled
      await route.continue()
    })
    const id = await add(page, photo)
    await waitForStatus(page, photoName, 'processing')
    await cancel(page, photoName)
    await row(page, photoName).waitFor({ state: 'detached' })
    isCancelled()
    await until(async () => (await statusOf(page, id)) === 'deleted')
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    await close()
  })

  test('a failed upload says so, and is replaced by another try', async () => {
    const { page, close } = await newcomer('kim')
    const message = 'This file has arrived, but it could not be processed. It is kept, and can be processed later.'
    await page.route(isStatus, (route) => {
      const id = idIn(new URL(route.request().url()).pathname)
      return route.fulfill({ json: { id, status: 'failed', reason: { code: 'processing_failed', message } } })
    })
    const first = await add(page, photo)
    await waitForStatus(page, photoName, 'failed')
    assert.equal(await row(page, photoName).getByTestId('reason').innerText(), message)
    await page
      .getByRole('status')
      .filter({ hasText: `${photoName} is not in your photos yet. ${message}` })
      .waitFor()
    await screenshot(page, '17-not-processed')
    // The file is kept: removing the row loses nothing, and nothing is deleted unless a new copy has arrived.
    const deletions = deletionsOf(page)
    await page.getByTestId('file-input').setInputFiles([{ ...photo, name: 'other.jpg' }])
    await waitForStatus(page, 'other.jpg', 'failed')
    await page.getByRole('button', { name: 'Remove other.jpg' }).click()
    assert.deepEqual(deletions, [])

    await page.unroute(isStatus)
    await row(page, photoName).getByTestId('retry').click()
    await waitForStatus(page, photoName, 'ready')
    await until(async () => (await statusOf(page, first)) === 'deleted')
    assert.deepEqual(deletions, [`/api/media/${first}`])
    await close()
  })

  test('the gallery skips pages without a photo, up to a limit', async () => {
    const { page, close } = await newcomer('mallory')
    await page.getByTestId('file-input').setInputFiles([photo])
    await waitForStatus(page, photoName, 'ready')

    let nAsked = 0
    let nEmpty = 5
    const isListing = (url) => url.pathname === '/api/media'
    await page.route(isListing, (route) => {
      nAsked += 1
      if (nAsked <= nEmpty) return route.fulfill({ json: { items: [], cursor: '7zzzzzzzzzzzzzzzzzzzzzzzzz' } })
      return route.continue({ url: `${gatepost.origin}/api/media` })
    })
    await page.reload()
    await waitForImage(page.getByTestId('photo').locator('img'))
    assert.equal(nAsked, 6)
    await page.getByTestId('load-more').waitFor({ state: 'hidden' })

    nAsked = 0
    nEmpty = 15
    await page.reload()
    await page.getByRole('button', { name: 'Load more' }).waitFor()
    assert.equal(nAsked, 10)
    assert.equal(
      await page.getByTestId('gallery-empty').isHidden(),
      true,
      'it is not known yet whether there are photos',
    )
    await screenshot(page, '18-empty-pages')
    await page.getByTestId('load-more').click()
    await waitForImage(page.getByTestId('photo').locator('img'))
    assert.equal(nAsked, 16)
    await close()
  })

  test('short pages are loaded until the window is full', async () => {
    const { page, close } = await newcomer('niaj')
    await page.getByTestId('file-input').setInputFiles([photo])
    await waitForStatus(page, photoName, 'ready')
    const { items } = await (await page.request.get('/api/media')).json()
    let nAsked = 0
    await page.route(
      (url) => url.pathname === '/api/media',
      (route) => {
        nAsked += 1
        const id = String(nAsked).padStart(26, '0')
        return route.fulfill({ json: { items: [{ ...items[0], id }], ...(nAsked < 1000 ? { cursor: id } : {}) } })
      },
    )
    await page.reload()
    await page.waitForFunction(
      () => document.querySelector('[data-testid="load-more"]')?.getBoundingClientRect().top > innerHeight + 600,
    )
    await page.getByRole('button', { name: 'Load more' }).waitFor()
    const nAtFirst = nAsked
    assert.ok(nAtFirst < 100, `little more than is visible: ${nAtFirst}`)
    await page.getByTestId('load-more').scrollIntoViewIfNeeded()
    await until(() => nAsked > nAtFirst)
    await close()
  })

  test('drop and paste add photos as well', async () => {
    const { page } = alice
    const carrying = (name, type) =>
      page.evaluateHandle(
        ([name, type]) => {
          const data = new DataTransfer()
          data.items.add(new File(['neither'], name, { type }))
          return data
        },
        [name, type],
      )

    const dragged = await carrying('dropped.gif', 'image/gif')
    await page.dispatchEvent('body', 'dragenter', { dataTransfer: dragged })
    await page.getByText('Drop to upload').waitFor()
    await screenshot(page, '7-drop')
    await page.dispatchEvent('body', 'drop', { dataTransfer: dragged })
    await waitForStatus(page, 'dropped.gif', 'rejected')
    await page.getByText('Drop to upload').waitFor({ state: 'hidden' })

    const pasted = await carrying('pasted.gif', 'image/gif')
    await page.evaluate(
      (clipboardData) => window.dispatchEvent(new ClipboardEvent('paste', { clipboardData, cancelable: true })),
      pasted,
    )
    await waitForStatus(page, 'pasted.gif', 'rejected')
    await page.getByRole('button', { name: 'Clear finished' }).click()
  })

  test('a link is copied and works without a session; a deleted photo is gone', async () => {
    const { page, close } = await newcomer('heidi')
    for (const name of ['first.jpg', 'second.jpg']) {
      await page.getByTestId('file-input').setInputFiles([{ ...photo, name }])
      await waitForStatus(page, name, 'ready')
    }
    await page.getByRole('button', { name: 'Clear finished' }).click()
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: gatepost.origin })
    await page.getByTestId('photo').first().click()
    await waitForImage(page.getByTestId('lightbox').locator('img'))
    const shown = await page.getByTestId('photo').first().getAttribute('data-id')
    await page.getByTestId('lightbox-copy-link').click()
    await page
      .getByTestId('toast')
      .filter({ hasText: /^Link copied/ })
      .waitFor()
    await screenshot(page, '12-link-copied')
    const link = await page.evaluate(() => navigator.clipboard.readText())
    assert.ok(link.includes(`/${shown}/`) && link.includes('X-Amz-Signature='), link)
    const shared = await fetch(link)
    assert.equal(shared.status, 200)
    assert.equal(shared.headers.get('content-type'), 'image/webp')

    const path = await largestRendition(page)
    page.once('dialog', (dialog) => dialog.dismiss())
    await page.getByTestId('lightbox-remove').click()
    assert.equal(await page.getByTestId('photo').count(), 2)
    page.once('dialog', (dialog) => dialog.accept())
    await page.getByTestId('lightbox-remove').click()
    await page.locator(`[data-testid="photo"][data-id="${shown}"]`).waitFor({ state: 'detached' })
    // Its neighbour replaces it.
    await waitForImage(page.getByTestId('lightbox').locator('img'))
    await page.keyboard.press('Escape')
    assert.equal(await page.getByTestId('photo').count(), 1)
    page.expectedRefusals = [path]
    assert.equal((await look(page, path)).status, 404)
    page.expectedRefusals = []
    assert.equal((await fetch(link)).status, 404)
    await page.reload()
    await waitForImage(page.getByTestId('photo').first().locator('img'))
    assert.equal(await page.getByTestId('photo').count(), 1)
    await close()
  })

  test('the browser keeps, sends and deletes the session cookie of the API', async () => {
    const visitor = await newPage(browser, gatepost.origin)
    const { page } = visitor
    await page.goto('/')
    // Like an application's page that has a token of its identity provider.
    const token = await gatepost.token('alice')
    const path = await largestRendition(alice.page)
    const started = await page.evaluate(async (token) => {
      const response = await fetch('/api/session', { method: 'POST', headers: { authorization: `Bearer ${token}` } })
      return { status: response.status, ...(await response.json()) }
    }, token)
    assert.equal(started.status, 201)
    const [cookie] = await page.context().cookies()
    assert.equal(cookie.name, '__Host-gatepost')
    assert.deepEqual([cookie.path, cookie.secure, cookie.httpOnly, cookie.sameSite], ['/', true, true, 'Lax'])
    assert.ok(Math.abs(cookie.expires - Date.parse(started.expires_at) / 1000) < PATIENCE_MS / 1000)
    // An image cannot send a token; it sends the cookie.
    const width = await page.evaluate(async (path) => {
      const image = new Image()
      image.src = path
      await image.decode()
      return image.naturalWidth
    }, path)
    assert.ok(width > 0)
    assert.equal((await look(page, '/api/media')).status, 200)
    assert.equal(await page.evaluate(async () => (await fetch('/api/session', { method: 'DELETE' })).status), 204)
    assert.deepEqual(await page.context().cookies(), [])
    assert.equal((await look(page, path)).status, 401)
    await visitor.close()
  })

  test('the page fits a phone and dark mode', async () => {
    const { page } = alice
    await page.emulateMedia({ colorScheme: 'dark' })
    await screenshot(page, '8-dark')
    await page.emulateMedia({ colorScheme: null })

    const phone = await newPage(browser, gatepost.origin, {
      storageState: await page.context().storageState(),
      viewport: { width: 390, height: 844 },
      deviceScaleFactor: 2,
      isMobile: true,
      hasTouch: true,
    })
    pages.push(phone)
    await phone.page.goto('/')
    await waitForImage(phone.page.getByTestId('photo').first().locator('img'))
    assert.ok(
      await phone.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
      'the page does not scroll sideways',
    )
    await screenshot(phone.page, '9-phone')
    await phone.page.getByTestId('photo').first().tap()
    await waitForImage(phone.page.getByTestId('lightbox').locator('img'))
    await screenshot(phone.page, '10-phone-lightbox')
    await phone.close()
  })

  test('another user sees none of the photos, and a visitor is sent to sign in', async () => {
    const { page } = alice
    const path = await largestRendition(page)
    await page.getByTestId('sign-out').click()
    await page.getByTestId('sign-in').click()
    await page.getByTestId('sign-in-bob').click()
    await page.getByTestId('who').waitFor()
    assert.equal(await page.getByTestId('who').innerText(), 'bob')
    await page.getByTestId('gallery-empty').waitFor()
    assert.equal(await page.getByTestId('photo').count(), 0)
    assert.equal((await look(page, path)).status, 403)

    await page.getByTestId('sign-out').click()
    await page.getByTestId('sign-in').waitFor()
    assert.equal((await look(page, path)).status, 401)
    // A separate tab, because the browser's own display of a picture must not affect this page.
    const picture = await page.context().newPage()
    await picture.goto(path)
    await picture.getByTestId('sign-in-alice').waitFor()
    const [shown] = await Promise.all([
      picture.waitForResponse((response) => new URL(response.url()).pathname === path && response.status() === 200),
      picture.getByTestId('sign-in-alice').click(),
    ])
    assert.equal(shown.headers()['content-type'], 'image/webp', 'signed in, the picture itself is shown')
    await picture.waitForURL((url) => url.pathname === path)
    await screenshot(picture, '14-picture')
    await picture.close()

    // A code that was requested by another tab signs nobody in.
    await page.goto('/')
    await page.getByTestId('sign-out').click()
    await page.getByTestId('sign-in').waitFor()
    await page.goto('/?code=stolen&state=guessed')
    assert.match(await page.getByTestId('sign-in-notice').innerText(), /didn’t work/)
    await screenshot(page, '13-sign-in-failed')
    assert.deepEqual(await page.context().cookies(), [])
  })

  test('a session that ends loses no uploads', async () => {
    const { page } = alice
    await page.goto('/')
    await page.getByTestId('sign-in').click()
    await page.getByTestId('sign-in-alice').click()
    await waitForImage(page.getByTestId('photo').first().locator('img'))
    const nPhotos = await page.getByTestId('photo').count()

    page.expectedRefusals = ['/api/uploads']
    await page.context().clearCookies()
    await page.getByTestId('file-input').setInputFiles([{ ...photo, name: 'later.jpg' }])
    await waitForStatus(page, 'later.jpg', 'failed')
    await page.getByTestId('session-over').waitFor()
    assert.equal(await page.getByTestId('photo').count(), nPhotos)
    await screenshot(page, '11-session-over')

    const [elsewhere] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByTestId('session-over').getByRole('link').click(),
    ])
    await elsewhere.getByTestId('sign-in-alice').click()
    await elsewhere.getByTestId('who').waitFor()
    await elsewhere.close()
    await page.bringToFront()
    await page.evaluate(() => window.dispatchEvent(new Event('focus')))
    await page.getByTestId('session-over').waitFor({ state: 'hidden' })
    await waitForStatus(page, 'later.jpg', 'ready')
    assert.equal(await page.getByTestId('photo').count(), nPhotos + 1)
  })

  test('a user who signs in elsewhere gets none of the photos of the previous one', async () => {
    const visitor = await newPage(browser, gatepost.origin)
    pages.push(visitor)
    const { page } = visitor
    await signIn(page, 'dora')
    await page.goto('/')
    assert.equal(await page.getByTestId('who').innerText(), 'dora')
    await signIn(page, 'erin')
    const sent = []
    page.on('request', (request) => request.method() === 'POST' && sent.push(new URL(request.url()).pathname))
    await page.getByTestId('file-input').setInputFiles([photo])
    await page.getByTestId('who').filter({ hasText: 'erin' }).waitFor()
    await page.getByTestId('gallery-empty').waitFor()
    assert.deepEqual(sent, ['/api/uploads'])

    // Tabs notify each other.
    const tab = await page.context().newPage()
    await signIn(page, 'dora')
    await tab.goto('/')
    await page.getByTestId('who').filter({ hasText: 'dora' }).waitFor()
    await visitor.close()
  })

  test('the browser reported no problems', () => {
    assert.deepEqual(
      pages.flatMap((page) => page.complaints()),
      [],
    )
  })

  test('Ctrl-C stops it cleanly', async () => {
    await browser.close()
    assert.equal(await gatepost.stop(), 0)
  })
})

function row(page, filename) {
  return page.locator(`[data-testid="upload"][data-filename="${filename}"]`)
}

/** The test id of the focused element. */
function focused(page) {
  return page.evaluate(() => document.activeElement?.getAttribute('data-testid'))
}

async function waitForStatus(page, filename, status) {
  try {
    await page
      .locator(`[data-testid="upload"][data-filename="${filename}"][data-status="${status}"]`)
      .waitFor({ timeout: PATIENCE_MS })
  } catch (error) {
    const text = await row(page, filename)
      .innerText({ timeout: SECOND })
      .catch(() => 'no such row')
    throw new Error(`${filename} did not become ${status}; its row says: ${text}`, { cause: error })
  }
}

/** Adds a photo, and returns the id of its upload once it has a form. */
async function add(page, photo) {
  const form = page.waitForResponse(
    (response) => response.request().method() === 'POST' && new URL(response.url()).pathname === '/api/uploads',
  )
  await page.getByTestId('file-input').setInputFiles([photo])
  const { id } = await (await form).json()
  return id
}

/** Waits until a part of it is sent; the relay must hold it there. */
async function waitUntilPartlySent(page, filename) {
  const bar = row(page, filename).getByRole('progressbar')
  await page.waitForFunction(
    (element) =>
      Number(element.getAttribute('aria-valuenow')) > 0 && Number(element.getAttribute('aria-valuenow')) < 100,
    await bar.elementHandle(),
  )
}

async function cancel(page, filename) {
  await page.getByRole('button', { name: `Cancel ${filename}` }).click()
  await row(page, filename).waitFor({ state: 'detached' })
}

/** The paths of all deletions that the page requests from now on. */
function deletionsOf(page) {
  const paths = []
  page.on('request', (request) => request.method() === 'DELETE' && paths.push(new URL(request.url()).pathname))
  return paths
}

/** The id at the end of a path. */
function idIn(path) {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Whether an address is a request for an upload's status. */
function isStatus(url) {
  return /^\/api\/uploads\/./.test(url.pathname)
}

/** The server's status of an upload, without the page. */
async function statusOf(page, id) {
  return (await (await page.request.get(`/api/uploads/${id}`)).json()).status
}

async function until(isSo) {
  for (const end = Date.now() + PATIENCE_MS; !(await isSo()); ) {
    if (Date.now() > end) throw new Error(`not in time: ${isSo}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Waits until it is decoded and has pixels. */
async function waitForImage(locator) {
  await locator.waitFor({ timeout: PATIENCE_MS })
  const handle = await locator.elementHandle()
  // Chromium aborts decoding when the layout makes it choose another source.
  await locator.page().waitForFunction(
    (image) =>
      image.decode().then(
        () => image.naturalWidth > 0,
        () => false,
      ),
    handle,
  )
  // The fade from the placeholder.
  await locator.page().waitForFunction((image) => getComputedStyle(image).opacity === '1', handle)
}

/** The path of the widest rendition of the first photo, as the page has it. */
function largestRendition(page) {
  return page
    .getByTestId('photo')
    .first()
    .locator('img')
    .evaluate((image) => image.getAttribute('src'))
}

/** A request as the page makes it, without the browser's own cache. */
function look(page, path) {
  return page.evaluate(async (path) => {
    const response = await fetch(path, { cache: 'no-store', redirect: 'manual' })
    await response.arrayBuffer()
    return { status: response.status, cache: response.headers.get('x-cache') }
  }, path)
}
