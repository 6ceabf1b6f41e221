// Uploads while the network fails. Runs against the real binary in Chromium, like the other files in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { draw } from './drawing.mjs'
import { MINUTE, screenshot, until, useStack } from './gatepost.mjs'
import { add, deletionsOf, row, statusOf, waitForStatus, waitUntilPartlySent } from './page.mjs'
import { copyOf, largePhoto, photoName } from './photo.mjs'

const N_PHOTOS = 20
/** How many of them are ready before the network is cut. */
const N_BEFORE = 5

describe('a bad network', { timeout: 10 * MINUTE }, () => {
  const stack = useStack()
  const { newcomer } = stack

  /** Counts the forms that the page asks for. */
  function countForms(page) {
    const seen = { forms: 0 }
    page.on('request', (request) => {
      seen.forms += Number(request.method() === 'POST' && new URL(request.url()).pathname === '/api/uploads')
    })
    return seen
  }

  async function isInterrupted(page, name) {
    return (await row(page, name).innerText()).includes('tried again by itself')
  }

  async function idsOf(page) {
    const { items } = await (await page.request.get('/api/media')).json()
    return items.map(({ id }) => id)
  }

  test('twenty photos whose network is cut in the middle all arrive once', async () => {
    const { page, close } = await newcomer('alice')
    const photos = []
    for (let seed = 0; seed < N_PHOTOS; seed++) {
      photos.push({ name: `${seed}.jpg`, mimeType: 'image/jpeg', buffer: await draw(page, { seed }) })
    }
    page.expectedFailures = true
    await page.getByTestId('file-input').setInputFiles(photos.slice(0, N_BEFORE))
    for (const { name } of photos.slice(0, N_BEFORE)) await waitForStatus(page, name, 'ready')
    const { release } = stack.relay.hold('requests')
    await page.getByTestId('file-input').setInputFiles(photos.slice(N_BEFORE))
    const sending = page.getByTestId('upload').filter({ hasText: 'KB of' })
    await until(async () => (await sending.count()) > 0)
    await page.context().setOffline(true)
    await until(() => page.evaluate(() => !navigator.onLine))
    assert.ok((await page.locator('[data-testid="upload"][data-status="uploading"]').count()) > 0)
    await screenshot(page, 'offline')
    release()
    await page.context().setOffline(false)
    for (const { name } of photos) await waitForStatus(page, name, 'ready')
    await until(async () => (await idsOf(page)).length === N_PHOTOS)
    await page.reload()
    await until(async () => (await page.getByTestId('photo').count()) === N_PHOTOS)
    await close()
  })

  test('a photo whose connection stays away is sent again by itself when it is back', async () => {
    const { page, close } = await newcomer('bob')
    page.expectedFailures = true
    const seen = countForms(page)
    const { release } = stack.relay.hold('requests')
    await page.getByTestId('file-input').setInputFiles([largePhoto])
    await waitUntilPartlySent(page, photoName)
    const restore = stack.relay.cut()
    release()
    await until(() => isInterrupted(page, photoName))
    await page.getByRole('status').filter({ hasText: 'The connection was lost.' }).waitFor()
    await screenshot(page, 'interrupted')
    restore()
    await waitForStatus(page, photoName, 'ready')
    assert.ok(seen.forms > 1, 'every try has a fresh form')
    await until(async () => (await idsOf(page)).length === 1)
    await close()
  })

  test('a photo that has arrived although the answer was lost is not sent again', async () => {
    const { page, close } = await newcomer('carol')
    page.expectedFailures = true
    const seen = countForms(page)
    const deletions = deletionsOf(page)
    const { answered, release } = stack.relay.hold('answers')
    const id = await add(page, largePhoto)
    assert.equal(await answered, 204)
    await until(async () => (await statusOf(page, id)) === 'ready')
    const restore = stack.relay.cut()
    // It stays cut: what continues the upload is the answer of the API.
    await waitForStatus(page, photoName, 'ready')
    restore()
    release()
    assert.equal(seen.forms, 1)
    assert.deepEqual(deletions, [])
    assert.equal((await idsOf(page)).length, 1)
    await close()
  })

  test('failed uploads are tried again together, or by choosing their files again', async () => {
    const { page, close } = await newcomer('dora')
    const isForm = (url) => url.pathname === '/api/uploads'
    const refused = { status: 403, contentType: 'application/problem+json', body: '{}' }
    await page.route(isForm, (route) => route.fulfill(refused))
    page.expectedRefusals = ['/api/uploads']
    const files = ['one.jpg', 'two.jpg', 'three.jpg'].map(copyOf)
    await page.getByTestId('file-input').setInputFiles(files)
    for (const { name } of files) await waitForStatus(page, name, 'failed')
    await screenshot(page, 'try-all-again')
    await page.unroute(isForm)
    // A failed file that is chosen again, even under another name, takes the place of the row that failed.
    await page.getByTestId('file-input').setInputFiles([{ ...files[0], name: 'again.jpg' }])
    await waitForStatus(page, 'again.jpg', 'ready')
    await page.getByTestId('retry-all').click()
    for (const name of ['two.jpg', 'three.jpg']) await waitForStatus(page, name, 'ready')
    assert.equal(await page.getByTestId('retry-all').isVisible(), false)
    assert.equal(await page.getByTestId('upload').count(), files.length)
    assert.equal((await idsOf(page)).length, files.length)
    await close()
  })

  test('a WebP that is named .jpg is declared as what it is', async () => {
    const { page, close } = await newcomer('erin')
    const buffer = await draw(page, { type: 'image/webp' })
    await page.getByTestId('file-input').setInputFiles([{ name: 'saved.jpg', mimeType: 'image/jpeg', buffer }])
    await waitForStatus(page, 'saved.jpg', 'ready')
    await close()
  })
})
