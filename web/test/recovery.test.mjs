// Pictures that fail to load: what is renewed for them, how often, and which of them are tried again.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'

import { source } from './source.mjs'

const { Recovery } = await source('recovery')

const MINUTE = 60_000
let clock, signedIn, asked, renewed, allowed, recovery

beforeEach(() => {
  clock = 1
  mock.method(performance, 'now', () => clock)
  signedIn = true
  // The addresses that the page has asked for with a script, and how often it has renewed its permission.
  asked = []
  renewed = 0
  allowed = () => renewed > 0
  globalThis.fetch = async (address, { cache }) => {
    asked.push(address)
    assert.equal(cache, 'no-store')
    return new Response('<Error/>', { status: allowed() ? 200 : 403 })
  }
  recovery = new Recovery({
    isSignedIn: async () => signedIn,
    renew: async () => {
      renewed += 1
      recovery.restored()
    },
  })
})

/** A picture that the browser requests at once, and that is refused as long as nothing is renewed. */
function pictureOf(address) {
  const picture = {
    address,
    state: 'loading',
    nRequests: 0,
    reload() {
      picture.nRequests += 1
      assert.ok(picture.nRequests < 100, 'an endless loop')
      picture.requestedAt = clock
      clock += 1
      picture.state = 'loading'
      queueMicrotask(() => {
        picture.state = allowed() ? 'shown' : 'broken'
        if (picture.state === 'broken') recovery.broken(picture)
      })
    },
  }
  picture.reload()
  return picture
}

/** Lets everything happen that is pending. */
async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}

test('refused pictures are shown after one renewal for all of them', async () => {
  const pictures = ['/a', '/b', '/c'].map(pictureOf)
  await settle()
  assert.deepEqual(
    pictures.map(({ state, nRequests }) => [state, nRequests]),
    Array(3).fill(['shown', 2]),
  )
  assert.equal(renewed, 1)
  assert.deepEqual(asked, ['/a'])

  recovery.restored()
  await settle()
  assert.ok(
    pictures.every(({ nRequests }) => nRequests === 2),
    'those that are shown are left alone',
  )
})

test('pictures that stay refused stay broken after one more try each', async () => {
  allowed = () => false
  const pictures = ['/a', '/b', '/c'].map(pictureOf)
  await settle()
  assert.deepEqual(
    pictures.map(({ state, nRequests }) => [state, nRequests]),
    Array(3).fill(['broken', 2]),
  )
  assert.equal(renewed, 1)

  // A person who scrolls on brings no other renewal, until there was a pause.
  pictureOf('/d')
  await settle()
  assert.equal(renewed, 1)
  clock += MINUTE
  pictureOf('/e')
  await settle()
  assert.equal(renewed, 2)
  assert.ok(pictures.every(({ nRequests }) => nRequests === 3))
  clock += 60 * MINUTE
  await settle()
  assert.equal(renewed, 2)
})

test('a picture that was requested before a renewal is tried again without another one', async () => {
  const picture = pictureOf('/a')
  await settle()
  assert.equal(renewed, 1)
  picture.requestedAt = 0
  picture.state = 'broken'
  recovery.broken(picture)
  await settle()
  assert.deepEqual([picture.state, picture.nRequests, renewed], ['shown', 3, 1])
})

test('without a session nothing is renewed, and pictures are tried again when it is back', async () => {
  signedIn = false
  const picture = pictureOf('/a')
  await settle()
  assert.deepEqual([picture.state, asked.length, renewed], ['broken', 0, 0])
  signedIn = true
  allowed = () => true
  recovery.restored()
  await settle()
  assert.deepEqual([picture.state, renewed], ['shown', 0])
})

for (const [what, answer] of [
  ['is gone', async () => new Response('', { status: 404 })],
  ['cannot be reached', () => Promise.reject(new TypeError('Failed to fetch'))],
]) {
  test(`nothing is renewed for a picture that ${what}`, async () => {
    globalThis.fetch = answer
    const picture = pictureOf('/a')
    await settle()
    assert.deepEqual([picture.state, picture.nRequests, renewed], ['broken', 1, 0])
  })
}

test('a renewal that brings nothing is not repeated at once', async () => {
  let tried = 0
  const renew = async () => {
    tried += 1
  }
  recovery = new Recovery({ isSignedIn: async () => true, renew })
  const pictures = ['/a', '/b'].map(pictureOf)
  await settle()
  assert.equal(tried, 1)
  assert.ok(pictures.every(({ state, nRequests }) => state === 'broken' && nRequests === 1))
})
