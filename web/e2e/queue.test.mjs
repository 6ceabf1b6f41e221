// Uploads that survive a reload, and whom they belong to. Runs against the real binary in Chromium, like the other files
// in this folder.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { MINUTE, screenshot, until, useStack } from './gatepost.mjs'
import { isStatus, row, waitForStatus, waitUntilPartlySent } from './page.mjs'
import { copyOf, largePhoto, photoName } from './photo.mjs'

describe('a queue', { timeout: 10 * MINUTE }, () => {
  const stack = useStack()
  const { newcomer, signIn } = stack

  /** The names of the files that the browser keeps. */
  function keptIn(page) {
    return page.evaluate(async () => {
      const result = (request) =>
        new Promise((resolve, reject) => {
          request.onsuccess = () => resolve(request.result)
          request.onerror = () => reject(request.error)
        })
      const database = await result(indexedDB.open('gatepost-queue'))
      const all = await result(database.transaction('uploads').objectStore('uploads').getAll())
      database.close()
      return all.map(({ file }) => file.name).sort()
    })
  }

  async function countPhotos(page) {
    return (await (await page.request.get('/api/media')).json()).items.length
  }

  /** Adds photos that storage does not receive before `release`. */
  async function addHeld(page, photos) {
    const { release } = stack.relay.hold('requests')
    await page.getByTestId('file-input').setInputFiles(photos)
    await waitUntilPartlySent(page, photoName)
    await until(async () => (await keptIn(page)).length === photos.length)
    return release
  }

  test('uploads go on after a reload, once', async () => {
    const { page, close } = await newcomer('alice')
    const release = await addHeld(page, [largePhoto, copyOf('second.jpg')])
    await page.reload()
    await row(page, photoName).waitFor()
    await row(page, 'second.jpg').waitFor()
    await screenshot(page, 'resumed')
    // Another tab leaves them to this one.
    const tab = await page.context().newPage()
    await tab.goto('/')
    await tab.getByTestId('gallery-empty').waitFor()
    assert.equal(await tab.getByTestId('upload').count(), 0)
    await tab.close()
    release()
    await waitForStatus(page, photoName, 'ready')
    await waitForStatus(page, 'second.jpg', 'ready')
    await until(async () => (await countPhotos(page)) === 2)
    await until(async () => (await keptIn(page)).length === 0)
    await page.reload()
    await page.getByTestId('photo').first().waitFor()
    assert.equal(await page.getByTestId('upload').count(), 0)
    await close()
  })

  test('uploads of a closed tab go on in another one that is open', async () => {
    const { page, close } = await newcomer('hanna')
    const release = await addHeld(page, [largePhoto])
    const tab = await page.context().newPage()
    await tab.goto('/')
    await tab.getByTestId('gallery-empty').waitFor()
    assert.equal(await tab.getByTestId('upload').count(), 0)
    await page.close()
    await row(tab, photoName).waitFor()
    release()
    await waitForStatus(tab, photoName, 'ready')
    await until(async () => (await countPhotos(tab)) === 1)
    await until(async () => (await keptIn(tab)).length === 0)
    await close()
  })

  test('a photo that arrived before the reload does not become a second one', async () => {
    const { page, close } = await newcomer('bob')
    const { answered, release } = stack.relay.hold('answers')
    await page.getByTestId('file-input').setInputFiles([largePhoto])
    assert.equal(await answered, 204)
    await page.reload()
    release()
    await waitForStatus(page, photoName, 'ready')
    await until(async () => (await countPhotos(page)) === 1)
    await close()
  })

  test('an upload whose form has expired unused is sent with another', async () => {
    const { page, close } = await newcomer('gina')
    const release = await addHeld(page, [largePhoto])
    let nAsked = 0
    await page.route(isStatus, (route) => {
      nAsked += 1
      page.expectedRefusals = [new URL(route.request().url()).pathname]
      const problem = { title: 'Not Found', detail: 'There is no such upload.', status: 404 }
      return nAsked > 1
        ? route.continue()
        : route.fulfill({ status: 404, contentType: 'application/problem+json', json: problem })
    })
    await page.reload()
    await row(page, photoName).waitFor()
    release()
    await waitForStatus(page, photoName, 'ready')
    assert.ok(nAsked > 1)
    await until(async () => (await countPhotos(page)) === 1)
    await close()
  })

  test('nobody else gets what a person has queued, and it is gone', async () => {
    const { page, close } = await newcomer('carol')
    const release = await addHeld(page, [largePhoto])
    await signIn(page, 'dora')
    await page.reload()
    await page.getByTestId('who').filter({ hasText: 'dora' }).waitFor()
    await page.getByTestId('gallery-empty').waitFor()
    await until(async () => (await keptIn(page)).length === 0)
    release()
    await signIn(page, 'carol')
    await page.reload()
    await page.getByTestId('who').filter({ hasText: 'carol' }).waitFor()
    await page.getByTestId('gallery-empty').waitFor()
    assert.equal(await page.getByTestId('upload').count(), 0)
    assert.equal(await countPhotos(page), 0)
    await close()
  })

  test('signing out deletes it, and so does a day', async () => {
    const { page, close } = await newcomer('erin')
    page.on('dialog', (dialog) => dialog.accept())
    let release = await addHeld(page, [largePhoto])
    await page.getByTestId('sign-out').click()
    await page.getByTestId('sign-in').waitFor()
    assert.deepEqual(await keptIn(page), [])
    release()

    await signIn(page, 'erin')
    await page.goto('/')
    await page.getByTestId('gallery-empty').waitFor()
    release = await addHeld(page, [largePhoto])
    await page.clock.setSystemTime(Date.now() + 25 * 60 * MINUTE)
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    await until(async () => (await keptIn(page)).length === 0)
    assert.equal(await page.getByTestId('upload').count(), 0)
    release()
    await close()
  })

  test('a removed upload does not come back', async () => {
    const { page, close } = await newcomer('frank')
    const release = await addHeld(page, [largePhoto])
    await page.getByRole('button', { name: `Cancel ${photoName}` }).click()
    await until(async () => (await keptIn(page)).length === 0)
    release()
    await page.reload()
    await page.getByTestId('gallery-empty').waitFor()
    assert.equal(await page.getByTestId('upload').count(), 0)
    await close()
  })
})
