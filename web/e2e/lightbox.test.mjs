// One photo, shown large: the keyboard, a link to share, deletion. Runs against the real binary in Chromium, like the
// other files in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { MINUTE, screenshot, useStack } from './gatepost.mjs'
import { focused, largestRendition, look, upload, waitForImage } from './page.mjs'
import { photo } from './photo.mjs'

describe('the lightbox', { timeout: 10 * MINUTE }, () => {
  const stack = useStack()
  const { newcomer } = stack

  test('the keyboard opens a photo, walks and closes it', async () => {
    const { page, close } = await newcomer('alice')
    await upload(page, photo)
    await page.getByTestId('photo').focus()
    await page.keyboard.press('Enter')
    const image = page.getByTestId('lightbox').locator('img')
    await waitForImage(image)
    assert.equal(await focused(page), 'lightbox-close', 'another Enter deletes nothing')
    const { width, height } = await image.boundingBox()
    assert.ok(Math.max(width, height) > 600, 'it is shown large')
    await screenshot(page, 'lightbox')
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Escape')
    await page.getByTestId('lightbox').waitFor({ state: 'hidden' })
    assert.equal(await focused(page), 'photo')
    await close()
  })

  test('a link is copied and works without a session; a deleted photo is gone', async () => {
    const { page, close } = await newcomer('heidi')
    for (const name of ['first.jpg', 'second.jpg']) {
      await upload(page, { ...photo, name })
    }
    await page.getByRole('button', { name: 'Clear finished' }).click()
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: stack.gatepost.origin })
    await page.getByTestId('photo').first().click()
    await waitForImage(page.getByTestId('lightbox').locator('img'))
    const shown = await page.getByTestId('photo').first().getAttribute('data-id')
    await page.getByTestId('lightbox-copy-link').click()
    await page
      .getByTestId('toast')
      .filter({ hasText: /^Link copied/ })
      .waitFor()
    await screenshot(page, 'link-copied')
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
})
