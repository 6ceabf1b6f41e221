// An upload from the file to its outcome: progress, refusals, another try. Runs against the real binary in Chromium, like
// the other files in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { MINUTE, PHONE, screenshot, until, useStack } from './gatepost.mjs'
import {
  add,
  deletionsOf,
  focused,
  idIn,
  isStatus,
  row,
  statusOf,
  waitForImage,
  waitForStatus,
  waitUntilPartlySent,
} from './page.mjs'
import { copyOf, largePhoto, photo, photoName } from './photo.mjs'

describe('an upload', { timeout: 15 * MINUTE }, () => {
  const stack = useStack()
  const { newcomer } = stack

  test('a photo becomes a thumbnail, a text file named .jpg is refused with a reason', async () => {
    const { page, close } = await newcomer('alice')
    const { release } = stack.relay.hold('requests')
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
      assert.match(await page.title(), /^[01] of 2 uploaded/)
      await screenshot(page, 'uploading', { animations: 'allow' })
    } finally {
      release()
    }

    await waitForStatus(page, 'notes.jpg', 'rejected')
    const reason = await row(page, 'notes.jpg').getByTestId('reason').innerText()
    assert.match(reason, /\w{3,}.*\w{3,}/, 'the reason is a sentence')

    await waitForStatus(page, photoName, 'ready')
    assert.equal(await page.title(), 'Gatepost')
    const thumbnail = row(page, photoName).locator('button img')
    await waitForImage(thumbnail)
    assert.match(await thumbnail.getAttribute('src'), /^\/media\//)
    await waitForImage(page.getByTestId('photo').first().locator('img'))
    assert.equal(await page.getByTestId('photo').count(), 1)
    await screenshot(page, 'uploaded')
    await close()
  })

  test('a file that the browser can judge is refused at once, and nothing is sent', async () => {
    const { page, close } = await newcomer('bob')
    const asked = []
    page.on('request', (request) => request.method() === 'POST' && asked.push(request.url()))
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
    assert.match(reasons[3], /is 25\.1 MB\. The limit is 25 MB/)
    await screenshot(page, 'refused')
    assert.deepEqual(asked, [])
    await page.getByRole('button', { name: 'Clear finished' }).click()
    assert.equal(await page.getByTestId('upload').count(), 0)
    await close()
  })

  test('on a phone long sentences and names wrap, and none is cut', async () => {
    const { page, close } = await newcomer('olivia', PHONE)
    await page.getByTestId('file-input').setInputFiles([
      { name: 'IMG_0001.HEIC', mimeType: '', buffer: Buffer.from('ftypheic') },
      { name: `${'a'.repeat(120)}.HEIC`, mimeType: '', buffer: Buffer.from('ftypheic') },
      { name: 'drawing.svg', mimeType: 'image/svg+xml', buffer: Buffer.from('<svg/>') },
      { name: 'letter.pdf', mimeType: 'application/pdf', buffer: Buffer.from('%PDF-1.7') },
    ])
    await waitForStatus(page, 'letter.pdf', 'rejected')
    await screenshot(page, 'phone-refused')
    const boxes = await page.evaluate(async () => {
      const list = document.querySelector('.uploads-list')
      // A card that still arrives is below its place.
      const arriving = list.getAnimations({ subtree: true }).filter(({ animationName }) => animationName === 'arrive')
      await Promise.all(arriving.map(({ finished }) => finished))
      const reasons = [...list.querySelectorAll('[data-testid="reason"]')]
      return {
        isCut: list.scrollHeight > list.clientHeight || list.scrollWidth > list.clientWidth,
        isTooWide: document.documentElement.scrollWidth > innerWidth,
        nOverflowing: reasons.filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth).length,
        nReasons: reasons.length,
      }
    })
    assert.deepEqual(boxes, { isCut: false, isTooWide: false, nOverflowing: 0, nReasons: 4 })
    await close()
  })

  test('progress is visible in forced colours', async () => {
    const { page, close } = await newcomer('mia', { forcedColors: 'active' })
    const { release } = stack.relay.hold('requests')
    await page.getByTestId('file-input').setInputFiles([largePhoto])
    await waitUntilPartlySent(page, photoName)
    const bar = row(page, photoName).locator('.bar')
    const colours = await bar.evaluate((bar) => {
      const colourOf = (element, property) => getComputedStyle(element)[property]
      return {
        fill: colourOf(bar.firstElementChild, 'backgroundColor'),
        bar: colourOf(bar, 'backgroundColor'),
        border: colourOf(bar, 'borderTopColor'),
        width: colourOf(bar, 'borderTopWidth'),
      }
    })
    assert.equal(colours.width, '1px')
    assert.notEqual(colours.fill, colours.bar)
    assert.notEqual(colours.border, colours.bar)
    await screenshot(page, 'forced-colours')
    release()
    await waitForStatus(page, photoName, 'ready')
    await close()
  })

  test('dropped and pasted photos are added', async () => {
    const { page, close } = await newcomer('heidi')
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
    await screenshot(page, 'drop')
    await page.dispatchEvent('body', 'drop', { dataTransfer: dragged })
    await waitForStatus(page, 'dropped.gif', 'rejected')
    await page.getByText('Drop to upload').waitFor({ state: 'hidden' })

    const rubbish = await carrying('Thumbs.db', '')
    await page.dispatchEvent('body', 'drop', { dataTransfer: rubbish })
    await page.getByTestId('toast').filter({ hasText: '1 file of the system skipped.' }).waitFor()
    assert.equal(await page.getByTestId('upload').count(), 1)

    const pasted = await carrying('pasted.gif', 'image/gif')
    await page.evaluate(
      (clipboardData) => window.dispatchEvent(new ClipboardEvent('paste', { clipboardData, cancelable: true })),
      pasted,
    )
    await waitForStatus(page, 'pasted.gif', 'rejected')
    await close()
  })

  test('an expired form is signed again on retry', async () => {
    const { page, close } = await newcomer('carol')
    let signed = 0
    const count = (request) =>
      (signed += Number(request.method() === 'POST' && new URL(request.url()).pathname === '/api/uploads'))
    page.on('request', count)
    const toStorage = (url) => url.origin !== stack.gatepost.origin
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
    await page.getByTestId('file-input').setInputFiles([copyOf('next.jpg')])
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
    await screenshot(page, 'not-processed')
    // The file is kept: removing the row loses nothing, and nothing is deleted unless a new copy has arrived.
    const deletions = deletionsOf(page)
    await page.getByTestId('file-input').setInputFiles([copyOf('other.jpg')])
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
})
