// One photo, shown large: the keyboard, a link to share, deletion. Runs against the real binary in Chromium, like the
// other files in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { MINUTE, PHONE, screenshot, useStack } from './gatepost.mjs'
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
    // The sentence about its link is gone with it.
    await page.getByTestId('toast').filter({ hasText: 'The photo was deleted.' }).waitFor()
    assert.equal(await page.getByTestId('toast').count(), 1)
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

  test('on a phone a sentence covers no control, and the last one stays when the photo is closed', async () => {
    const { page, close } = await newcomer('rupert', PHONE)
    await upload(page, photo)
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: stack.gatepost.origin })
    await page.getByTestId('photo').tap()
    await waitForImage(page.getByTestId('lightbox').locator('img'))
    await page.getByTestId('lightbox-copy-link').tap()
    const toast = page.getByTestId('toast')
    await toast.filter({ hasText: /^Link copied/ }).waitFor()
    await screenshot(page, 'phone-link-copied')
    const { controls, covered } = await page.evaluate(() => {
      const controls = [...document.querySelectorAll('.lightbox :is(button, a)')]
      const isCovered = (control) => {
        const { left, top, right, bottom } = control.getBoundingClientRect()
        const points = [
          [(left + right) / 2, (top + bottom) / 2],
          [left + 4, (top + bottom) / 2],
          [right - 4, (top + bottom) / 2],
        ]
        return points.some(([x, y]) => !control.contains(document.elementFromPoint(x, y)))
      }
      return { controls: controls.length, covered: controls.filter(isCovered).map(({ title }) => title) }
    })
    assert.equal(controls, 6)
    assert.deepEqual(covered, [])

    page.once('dialog', (dialog) => dialog.accept())
    await page.getByTestId('lightbox-remove').tap()
    await page.getByTestId('lightbox').waitFor({ state: 'hidden' })
    await page.getByTestId('gallery-empty').waitFor()
    await toast.waitFor()
    assert.deepEqual(await toast.allInnerTexts(), ['The photo was deleted.'])
    await screenshot(page, 'phone-deleted')
    await close()
  })
})
