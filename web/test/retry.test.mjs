// When an interrupted upload is tried again.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'

import { source } from './source.mjs'

const { Fault, isInterruption, MOST_RETRIES, pauseBefore, storageFault, untilRetry } = await source('fault', 'retry')

const never = () => new AbortController().signal
const network = { onLine: true }

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  globalThis.window = new EventTarget()
  network.onLine = true
  Object.defineProperty(globalThis, 'navigator', { value: network, configurable: true })
})
afterEach(() => mock.timers.reset())

/** Whether a promise is settled once everything that is due has run. */
async function isSettled(promise) {
  let settled = false
  const note = () => (settled = true)
  promise.then(note, note)
  await new Promise(setImmediate)
  return settled
}

const SLOW_DOWN = '<Error><Code>SlowDown</Code></Error>'
const CASES = [
  ['a lost connection', new Fault('unreachable'), true],
  ['an error of the API', new Fault('unexpected', { status: 503 }), true],
  ['busy storage', storageFault(503, SLOW_DOWN), true],
  ['a slow connection to storage', storageFault(400, '<Error><Code>RequestTimeout</Code></Error>'), true],
  ['storage that no answer came from', storageFault(0), true],
  ['a refusal of storage', storageFault(403, '<Error><Code>AccessDenied</Code></Error>'), false],
  ['a refusal of the API', new Fault('refused', { status: 422 }), false],
  ['an ended session', new Fault('session-over', { status: 401 }), false],
  ['a file that is gone', new Fault('unreadable'), false],
  ['a truncated answer', new Fault('unexpected', { status: 200 }), true],
  ['an API that is called too often', new Fault('unexpected', { status: 429 }), true],
  ['an answer without a reason', new Fault('unexpected', { status: 403 }), false],
  ['a mistake of this page', new TypeError('x is not a function'), false],
]
for (const [what, error, expected] of CASES) {
  test(`${what} ${expected ? 'is' : 'is not'} an interruption`, () => assert.equal(isInterruption(error), expected))
}

test('the pauses double up to a minute, and give a connection minutes to come back', () => {
  const pauses = Array.from({ length: MOST_RETRIES }, (_, retry) => pauseBefore(retry))
  assert.deepEqual(pauses.slice(0, 3), [1_000, 2_000, 4_000])
  assert.equal(Math.max(...pauses), 60_000)
  const total = pauses.reduce((sum, pause) => sum + pause)
  assert.ok(total > 5 * 60_000 && total < 10 * 60_000, `${total} ms`)
})

test('a retry waits for at least half of its pause', async () => {
  const waiting = untilRetry(2, never(), () => 0)
  mock.timers.tick(1_999)
  assert.equal(await isSettled(waiting), false)
  mock.timers.tick(1)
  assert.equal(await isSettled(waiting), true)
})

test('without a network a retry waits until there is one', async () => {
  network.onLine = false
  const waiting = untilRetry(0, never())
  mock.timers.tick(60 * 60_000)
  assert.equal(await isSettled(waiting), false)
  window.dispatchEvent(new Event('online'))
  assert.equal(await isSettled(waiting), true)
})

test('a network that comes back ends the pause', async () => {
  const waiting = untilRetry(9, never())
  window.dispatchEvent(new Event('online'))
  assert.equal(await isSettled(waiting), true)
})

test('a cancelled upload waits no longer', async () => {
  const ending = new AbortController()
  const waiting = untilRetry(9, ending.signal)
  ending.abort(new Error('cancelled'))
  await assert.rejects(waiting, /cancelled/)
  await assert.rejects(untilRetry(0, ending.signal), /cancelled/)
})
