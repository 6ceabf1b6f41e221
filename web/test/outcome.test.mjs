// Waiting for what becomes of an upload: how often it asks, what ends the wait and what does not.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { Api, delayBefore, outcomeOf } = await source('api', 'outcome')
const never = () => new AbortController().signal

test('it asks after 300 ms, then less often, and seldom in a hidden tab', () => {
  assert.equal(delayBefore(0, false), 300)
  assert.ok(delayBefore(1, false) > 300)
  assert.equal(delayBefore(100, false), 5_000)
  assert.equal(delayBefore(0, true), 10_000)
})

test('pending goes on, ready ends it', async () => {
  const answers = [{ status: 'pending' }, { status: 'ready', manifest: { id: 'x' } }]
  const outcome = await outcomeOf({ uploadStatus: async () => answers.shift() }, 'x', never())
  assert.deepEqual(outcome, { status: 'ready', manifest: { id: 'x' } })
  assert.equal(answers.length, 0)
})

for (const answer of [
  { id: 'x', status: 'rejected', reason: { code: 'truncated', message: 'The file ends too early.' } },
  { id: 'x', status: 'failed', reason: { code: 'processing_failed', message: 'It is kept.' } },
  { id: 'x', status: 'deleted' },
]) {
  test(`${answer.status} ends it`, async () => {
    const answers = [{ id: 'x', status: 'pending' }, answer]
    assert.deepEqual(await outcomeOf({ uploadStatus: async () => answers.shift() }, 'x', never()), answer)
  })
}

test('an answer that breaks off, or is somebody else’s, is asked for again', async () => {
  const answers = ['{"id":"x","sta', '<html>Accept our terms</html>', '{"id":"x","status":"rejected"}']
  globalThis.fetch = async () => new Response(answers.shift())
  const outcome = await outcomeOf(new Api(() => assert.fail('no session is over')), 'x', never())
  assert.deepEqual(outcome, { id: 'x', status: 'rejected' })
})

test('the signal ends the wait at once', async () => {
  const ending = new AbortController()
  const wait = outcomeOf({ uploadStatus: async () => assert.fail('asked after the end') }, 'x', ending.signal)
  ending.abort()
  await assert.rejects(wait, { name: 'AbortError' })
})

test('what is no passing failure is thrown', async () => {
  const broken = { uploadStatus: async () => Promise.reject(new TypeError('broken')) }
  await assert.rejects(outcomeOf(broken, 'x', never()), TypeError)
})
