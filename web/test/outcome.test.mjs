// Waiting for the outcome of an upload: the polling interval, and which answers end the wait.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { Api, delayBefore, outcomeOf } = await source('api', 'outcome')
const never = () => new AbortController().signal

test('the outcome is requested after 300 ms, then less often, and rarely in a hidden tab', () => {
  assert.equal(delayBefore(0, false), 300)
  assert.ok(delayBefore(1, false) > 300)
  assert.equal(delayBefore(100, false), 5_000)
  assert.equal(delayBefore(0, true), 10_000)
})

test('a pending upload continues the wait, a ready one ends it', async () => {
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
  test(`an upload that is ${answer.status} ends the wait`, async () => {
    const answers = [{ id: 'x', status: 'pending' }, answer]
    assert.deepEqual(await outcomeOf({ uploadStatus: async () => answers.shift() }, 'x', never()), answer)
  })
}

test('a truncated answer, or one from an intermediary, is requested again', async () => {
  const answers = ['{"id":"x","sta', '<html>Accept our terms</html>', '{"id":"x","status":"rejected"}']
  globalThis.fetch = async () => new Response(answers.shift())
  const api = new Api({ onSessionOver: () => assert.fail('no session is over') })
  const outcome = await outcomeOf(api, 'x', never())
  assert.deepEqual(outcome, { id: 'x', status: 'rejected' })
})

test('an abort signal ends the wait at once', async () => {
  const ending = new AbortController()
  const wait = outcomeOf({ uploadStatus: async () => assert.fail('asked after the end') }, 'x', ending.signal)
  ending.abort()
  await assert.rejects(wait, { name: 'AbortError' })
})

test('a permanent failure is thrown', async () => {
  const broken = { uploadStatus: async () => Promise.reject(new TypeError('broken')) }
  await assert.rejects(outcomeOf(broken, 'x', never()), TypeError)
})
