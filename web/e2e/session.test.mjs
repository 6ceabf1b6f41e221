// A session while the page is open: its end, its replacement by another person's, and its cookie. Runs against the real
// binary in Chromium, like the other files in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { MINUTE, PATIENCE_MS, screenshot, useStack } from './gatepost.mjs'
import { focusUntil, largestRendition, look, row, upload, waitForStatus, waitUntilPartlySent } from './page.mjs'
import { largePhoto, photo, photoName } from './photo.mjs'

describe('a session', { timeout: 10 * MINUTE }, () => {
  const stack = useStack()
  const { visit, signIn, newcomer } = stack

  test('a session that ends loses no uploads', async () => {
    const { page, close } = await newcomer('alice')
    await upload(page, photo)

    page.expectedRefusals = ['/api/uploads']
    await page.context().clearCookies()
    await page.getByTestId('file-input').setInputFiles([{ ...photo, name: 'later.jpg' }])
    await waitForStatus(page, 'later.jpg', 'failed')
    await page.getByTestId('session-over').waitFor()
    assert.equal(await page.getByTestId('photo').count(), 1)
    await screenshot(page, 'session-over')

    const [elsewhere] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByTestId('session-over').getByRole('link').click(),
    ])
    await elsewhere.getByTestId('sign-in-alice').click()
    await elsewhere.getByTestId('who').waitFor()
    await elsewhere.close()
    await page.bringToFront()
    await focusUntil(page, () => page.getByTestId('session-over').isHidden())
    await waitForStatus(page, 'later.jpg', 'ready')
    assert.equal(await page.getByTestId('photo').count(), 2)
    await close()
  })

  test('a user who signs in elsewhere gets none of the photos of the previous one', async () => {
    const { page, close } = await visit()
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
    await close()
  })

  test('signing out during an upload asks first', async () => {
    const { page, close } = await newcomer('frank')
    const { release } = stack.relay.hold('requests')
    const questions = []
    let isSure = false
    page.on('dialog', (dialog) => {
      questions.push(dialog.type())
      return isSure ? dialog.accept() : dialog.dismiss()
    })
    await page.getByTestId('file-input').setInputFiles([largePhoto])
    await waitUntilPartlySent(page, photoName)
    await page.getByTestId('sign-out').click()
    assert.deepEqual(questions, ['confirm'])
    assert.equal((await page.request.get('/api/session')).status(), 200)
    assert.equal(await row(page, photoName).getAttribute('data-status'), 'uploading')

    isSure = true
    await page.getByTestId('sign-out').click()
    await page.getByTestId('sign-in').waitFor()
    assert.deepEqual(questions, ['confirm', 'confirm'])
    assert.equal((await page.request.get('/api/session')).status(), 401)
    release()
    await close()
  })

  test('the browser keeps, sends and deletes the session cookie of the API', async () => {
    const owner = await newcomer('carol')
    await upload(owner.page, photo)
    const path = await largestRendition(owner.page)
    await owner.close()
    const { page, close } = await visit()
    await page.goto('/')
    // Like an application's page that has a token of its identity provider.
    const token = await stack.gatepost.token('carol')
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
    await close()
  })
})
