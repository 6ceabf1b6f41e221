// The gallery: what it shows, how it loads pages, how it fits a screen. Runs against the real binary in Chromium, like
// the other files in this folder.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { MINUTE, PHONE, screenshot, until, useStack } from './gatepost.mjs'
import { largestRendition, look, upload, waitForImage } from './page.mjs'
import { photo } from './photo.mjs'

describe('the gallery', { timeout: 10 * MINUTE }, () => {
  const stack = useStack()
  const { visit, newcomer } = stack
  /** The page of somebody with one photo. */
  let alice

  before(async () => {
    alice = await newcomer('alice')
    await upload(alice.page, photo)
  })

  test('a photo is still there after a reload', async () => {
    const { page } = alice
    await page.reload()
    await waitForImage(page.getByTestId('photo').locator('img'))
    assert.equal(await page.getByTestId('photo').count(), 1)
    assert.equal(await page.getByTestId('upload').count(), 0)
    await page.mouse.move(0, 0)
    await screenshot(page, 'gallery')
  })

  test('another tab of the same person shows a new photo, and drops a deleted one', async () => {
    const { page, close } = await newcomer('bea')
    const tab = await page.context().newPage()
    await tab.goto('/')
    await tab.getByTestId('gallery-empty').waitFor()
    await upload(page, photo)
    await waitForImage(tab.getByTestId('photo').locator('img'))

    page.once('dialog', (dialog) => dialog.accept())
    await page.getByTestId('photo').click()
    await page.getByTestId('lightbox').getByRole('button', { name: 'Delete' }).click()
    await page.getByTestId('gallery-empty').waitFor()
    await tab.getByTestId('gallery-empty').waitFor()
    assert.equal(await tab.getByTestId('photo').count(), 0)
    await close()
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

  test('pages without a photo are skipped, up to a limit', async () => {
    const { page, close } = await newcomer('mallory')
    await upload(page, photo)

    let nAsked = 0
    let nEmpty = 5
    const isListing = (url) => url.pathname === '/api/media'
    await page.route(isListing, (route) => {
      nAsked += 1
      if (nAsked <= nEmpty) return route.fulfill({ json: { items: [], cursor: '7zzzzzzzzzzzzzzzzzzzzzzzzz' } })
      return route.continue({ url: `${stack.gatepost.origin}/api/media` })
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
    await screenshot(page, 'empty-pages')
    await page.getByTestId('load-more').click()
    await waitForImage(page.getByTestId('photo').locator('img'))
    assert.equal(nAsked, 16)
    await close()
  })

  test('short pages are loaded until the window is full', async () => {
    const { page, close } = await newcomer('niaj')
    await upload(page, photo)
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

  test('the page fits a phone and dark mode', async () => {
    const { page } = alice
    await page.emulateMedia({ colorScheme: 'dark' })
    await screenshot(page, 'dark')
    await page.emulateMedia({ colorScheme: null })

    const phone = await visit({ storageState: await page.context().storageState(), ...PHONE })
    await phone.page.goto('/')
    await waitForImage(phone.page.getByTestId('photo').first().locator('img'))
    assert.ok(
      await phone.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
      'the page does not scroll sideways',
    )
    await screenshot(phone.page, 'phone')
    await phone.page.getByTestId('photo').first().tap()
    await waitForImage(phone.page.getByTestId('lightbox').locator('img'))
    await screenshot(phone.page, 'phone-lightbox')
    await phone.close()
  })
})
