// Cancelled and deleted uploads: nothing of them stays, however far they had come. Runs against the real binary in
// Chromium, like the other files in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { MINUTE, screenshot, until, useStack } from './gatepost.mjs'
import {
  add,
  cancel,
  deletionsOf,
  focused,
  isStatus,
  row,
  statusOf,
  waitForStatus,
  waitUntilPartlySent,
} from './page.mjs'
import { largePhoto, photo, photoName } from './photo.mjs'

describe('a deletion', { timeout: 15 * MINUTE }, () => {
  const stack = useStack()
  const { newcomer } = stack

  test('a cancelled upload leaves nothing behind, and is deleted once', async () => {
    const { page, close } = await newcomer('dave')
    const deletions = deletionsOf(page)
    const { release } = stack.relay.hold('requests')
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
    const { answered, release } = stack.relay.hold('answers')
    try {
      const id = await add(page, photo)
      assert.equal(await answered, 204)
      assert.equal(await row(page, photoName).getAttribute('data-status'), 'uploading')
      await cancel(page, photoName)
      await until(async () => !(await stack.gatepost.hasOriginal(id)))
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
    const { received, answered, release } = stack.relay.hold('arrivals')
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
      assert.equal(await stack.gatepost.hasOriginal(id), false)

      release()
      assert.equal(await answered, 204, 'the file has arrived')
      await until(async () => !(await stack.gatepost.hasOriginal(id)))
      assert.equal(await statusOf(page, id), 'deleted')
    } finally {
      release()
    }
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
    await screenshot(page, 'deleted-elsewhere')
    assert.equal(await focused(page), 'file-input')
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
    const { release } = stack.relay.hold('requests')
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
})
