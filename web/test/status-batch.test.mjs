// Many questions for the status of uploads in one call.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { Fault, StatusBatch } = await source('fault', 'status-batch')

const never = () => new AbortController().signal
const pending = (id) => ({ id, status: 'pending' })

/** An API that notes what it is asked for. */
function fakeApi(answer = pending) {
  const calls = []
  return {
    calls,
    async uploadStatus(id) {
      calls.push(id)
      return answer(id)
    },
    async uploadStatuses(ids) {
      calls.push(ids)
      return ids.map(answer)
    },
  }
}

test('questions of a moment share a call, and each gets its own answer', async () => {
  const api = fakeApi()
  const batch = new StatusBatch(api)
  const answers = await Promise.all(['a', 'b', 'c'].map((id) => batch.uploadStatus(id, never())))
  assert.deepEqual(answers, ['a', 'b', 'c'].map(pending))
  assert.deepEqual(api.calls, [['a', 'b', 'c']])
})

test('a single question is asked alone, and so is the next one', async () => {
  const api = fakeApi()
  const batch = new StatusBatch(api)
  await batch.uploadStatus('a', never())
  await batch.uploadStatus('b', never())
  assert.deepEqual(api.calls, ['a', 'b'])
})

test('no call has more ids than the API takes', async () => {
  const api = fakeApi()
  const batch = new StatusBatch(api)
  const ids = Array.from({ length: 120 }, (_, n) => `id-${n}`)
  await Promise.all(ids.map((id) => batch.uploadStatus(id, never())))
  assert.deepEqual(
    api.calls.map(({ length }) => length),
    [50, 50, 20],
  )
})

test('an unknown upload fails alone', async () => {
  const batch = new StatusBatch(fakeApi((id) => ({ id, status: id === 'b' ? 'unknown' : 'pending' })))
  const [known, unknown] = await Promise.allSettled(['a', 'b'].map((id) => batch.uploadStatus(id, never())))
  assert.equal(known.value.status, 'pending')
  assert.ok(unknown.reason instanceof Fault)
  assert.equal(unknown.reason.details.status, 404)
})

test('a failed call fails all of its questions', async () => {
  const fail = async () => {
    throw new Fault('unreachable')
  }
  const batch = new StatusBatch({ uploadStatus: fail, uploadStatuses: fail })
  const results = await Promise.allSettled(['a', 'b'].map((id) => batch.uploadStatus(id, never())))
  assert.deepEqual(
    results.map(({ reason }) => reason.kind),
    ['unreachable', 'unreachable'],
  )
})

test('nobody is asked about a cancelled upload', async () => {
  const api = fakeApi()
  const batch = new StatusBatch(api)
  const ending = new AbortController()
  const cancelled = batch.uploadStatus('a', ending.signal)
  const other = batch.uploadStatus('b', never())
  ending.abort(new Error('cancelled'))
  await assert.rejects(cancelled, /cancelled/)
  await other
  assert.deepEqual(api.calls, ['b'])
})
