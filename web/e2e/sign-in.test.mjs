// Signing in at the local stack's provider, and what a person without the right session gets. Runs against the real
// binary in Chromium, like the other files in this folder.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { MINUTE, screenshot, useStack } from './gatepost.mjs'
import { largestRendition, look, upload } from './page.mjs'
import { photo } from './photo.mjs'

describe('signing in', { timeout: 10 * MINUTE }, () => {
  const stack = useStack()
  const { visit, signIn, newcomer } = stack
  /** A picture of alice's only photo. */
  let path

  before(async () => {
    const { page, close } = await newcomer('alice')
    await upload(page, photo)
    path = await largestRendition(page)
    await close()
  })

  test('a visitor without a session is offered to sign in', async () => {
    const { page, close } = await visit()
    await page.goto('/')
    await page.getByTestId('sign-in').waitFor()
    await screenshot(page, 'signed-out')
    assert.equal(await page.getByTestId('file-input').count(), 0)

    await page.getByTestId('sign-in').click()
    await page.getByTestId('sign-in-alice').waitFor()
    await screenshot(page, 'sign-in')
    await page.getByTestId('sign-in-alice').click()
    await page.getByTestId('who').waitFor()
    assert.equal(await page.getByTestId('who').innerText(), 'alice')
    assert.equal(page.url(), `${stack.gatepost.origin}/`, 'no code is left in the address')
    await page.getByTestId('photo').waitFor()
    assert.equal(
      await page.evaluate(() => JSON.stringify({ ...sessionStorage, ...localStorage })),
      '{}',
      'no token is kept',
    )
    await close()
  })

  test('another user sees none of the photos', async () => {
    const { page, close } = await visit()
    await signIn(page, 'alice')
    await page.goto('/')
    await page.getByTestId('photo').waitFor()
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
    await close()
  })

  test('a visitor who opens a picture signs in, and is shown the picture', async () => {
    const { page, close } = await visit()
    await page.goto(path)
    await page.getByTestId('sign-in-alice').waitFor()
    const [shown] = await Promise.all([
      page.waitForResponse((response) => new URL(response.url()).pathname === path && response.status() === 200),
      page.getByTestId('sign-in-alice').click(),
    ])
    assert.equal(shown.headers()['content-type'], 'image/webp')
    await page.waitForURL((url) => url.pathname === path)
    await screenshot(page, 'picture')
    await close()
  })

  test('a code that another tab requested signs nobody in', async () => {
    const { page, close } = await visit()
    await page.goto('/?code=stolen&state=guessed')
    assert.match(await page.getByTestId('sign-in-notice').innerText(), /didn’t work/)
    await screenshot(page, 'sign-in-failed')
    assert.deepEqual(await page.context().cookies(), [])
    await close()
  })
})
