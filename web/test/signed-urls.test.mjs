// Signed URLs while the page is open: they are renewed before they expire, and not by a page that nobody sees.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'

import { source } from './source.mjs'

const { Api, Fault, SignedUrls } = await source('api', 'fault', 'signed-urls')

const SECOND = 1_000
const MINUTE = 60 * SECOND
let urls, renewals, lastMs, failure, look

beforeEach(() => {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-11-25T12:00:00Z') })
  globalThis.document = { hidden: false, addEventListener: (_, listener) => (look = listener) }
  renewals = []
  lastMs = 45 * MINUTE
  failure = undefined
  urls = new SignedUrls(async () => {
    renewals.push(new Date().toISOString().slice(11, 19))
    if (failure) throw failure
    urls.received(lastMs)
  })
})

async function pass(ms) {
  for (let passed = 0; passed < ms; passed += SECOND) {
    mock.timers.tick(SECOND)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('URLs are renewed a minute before they expire', async () => {
  urls.received(45 * MINUTE)
  await pass(43 * MINUTE)
  assert.deepEqual(renewals, [])
  await pass(50 * MINUTE)
  assert.deepEqual(renewals, ['12:44:00', '13:28:00'])
})

test('the first of several expiries counts', async () => {
  urls.received(45 * MINUTE)
  urls.received(30 * MINUTE)
  urls.received(60 * MINUTE)
  await pass(30 * MINUTE)
  assert.deepEqual(renewals, ['12:29:00'])
})

test('URLs that are valid for a short time are renewed halfway, and never without a pause', async () => {
  lastMs = 30 * SECOND
  urls.received(lastMs)
  await pass(35 * SECOND)
  assert.deepEqual(renewals, ['12:00:15', '12:00:30'])
  lastMs = 0
  await pass(10 * SECOND)
  assert.equal(renewals.length, 3)
  await pass(100 * SECOND)
  assert.equal(renewals.length, 13)
})

test('without signed URLs nothing is renewed', async () => {
  assert.equal(urls.areUsed, false)
  await pass(10 * MINUTE)
  look()
  assert.deepEqual(renewals, [])
})

test('a hidden page renews its URLs when somebody looks at it', async () => {
  urls.received(10 * MINUTE)
  document.hidden = true
  await pass(60 * MINUTE)
  assert.deepEqual(renewals, [])
  document.hidden = false
  look()
  assert.deepEqual(renewals, ['13:00:00'])
  await pass(MINUTE)
  look()
  assert.equal(renewals.length, 1)
})

test('concurrent callers share one renewal', async () => {
  urls.received(10 * MINUTE)
  await Promise.all([urls.renew(), urls.renew()])
  assert.equal(renewals.length, 1)
  await urls.renew()
  assert.equal(renewals.length, 2)
})

test('a renewal that fails is repeated', async () => {
  urls.received(2 * MINUTE)
  failure = new Fault('unreachable')
  await pass(2 * MINUTE)
  assert.deepEqual(renewals, ['12:01:00', '12:01:30', '12:02:00'])
  assert.equal(urls.areUsed, true)
  failure = undefined
  await pass(40 * MINUTE)
  assert.equal(renewals.length, 4)
})

test('after the end of the session the renewal waits for the next one', async () => {
  urls.received(2 * MINUTE)
  failure = new Fault('session-over', { status: 401 })
  await pass(60 * MINUTE)
  assert.deepEqual(renewals, ['12:01:00'])
  failure = undefined
  urls.check()
  assert.equal(renewals.length, 2)
})

for (const minutes of [-20, 0, 20]) {
  test(`an expiry is measured with the server's clock, which is ${minutes} minutes ahead`, async () => {
    const server = Date.now() + minutes * MINUTE
    const urls_expire_at = new Date(server + 45 * MINUTE).toISOString()
    const received = []
    const api = new Api({ onSignedUrls: (lastMs) => received.push(lastMs) })
    globalThis.fetch = async () =>
      Response.json({ items: [], urls_expire_at }, { headers: { date: new Date(server).toUTCString() } })
    await api.listMedia(undefined)
    globalThis.fetch = async () => Response.json({ items: [] })
    await api.listMedia(undefined)
    assert.deepEqual(received, [45 * MINUTE])
  })
}
