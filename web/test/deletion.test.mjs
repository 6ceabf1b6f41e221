// Deleting cancelled uploads: one request is enough, and only a failed one is repeated.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'

import { source } from './source.mjs'

const { Api, Fault, deleteUpload } = await source('api', 'fault', 'deletion')

const SECOND = 1_000
let begun

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  begun = Date.now()
})
afterEach(() => mock.timers.reset())

async function pass(seconds) {
  for (let n = 0; n < seconds; n += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    mock.timers.tick(SECOND)
  }
  await new Promise((resolve) => setImmediate(resolve))
}

/** An API that answers the deletions with these faults in turn, then with success; it records the time of each. */
function failing(...faults) {
  const asked = []
  const deleteMedia = async (id) => {
    asked.push([id, (Date.now() - begun) / SECOND])
    const fault = faults.shift()
    if (fault) throw fault
  }
  return { deleteMedia, asked }
}

test('an upload is deleted at once, and once', async () => {
  const api = failing()
  await deleteUpload(api, 'x')
  await pass(600)
  assert.deepEqual(api.asked, [['x', 0]])
})

test('a transient failure is retried until it is over', async () => {
  const api = failing(
    new Fault('unreachable'),
    new Fault('session-over', { status: 401 }),
    new Fault('unexpected', { status: 503 }),
  )
  const deletion = deleteUpload(api, 'x')
  await pass(600)
  await deletion
  assert.deepEqual(
    api.asked,
    [0, 1, 5, 21].map((second) => ['x', second]),
  )
})

test('a permanent failure is thrown after the last retry', async () => {
  const api = failing(...Array(100).fill(new Fault('unreachable')))
  const rejection = assert.rejects(deleteUpload(api, 'x'), { kind: 'unreachable' })
  await pass(600)
  await rejection
  assert.deepEqual(
    api.asked.map(([, second]) => second),
    [0, 1, 5, 21, 85, 341],
  )
})

test('a refusal is thrown and not repeated', async () => {
  const api = failing(new Fault('refused', { status: 404, sentence: 'There is no such upload.' }))
  const rejection = assert.rejects(deleteUpload(api, 'x'), { kind: 'refused' })
  await pass(600)
  await rejection
  assert.equal(api.asked.length, 1)
})

test('the request outlives the page, and is sent before the page can be left', () => {
  let request
  globalThis.fetch = async (path, init) => {
    request = { path, ...init }
    return new Response(null, { status: 204 })
  }
  void deleteUpload(new Api({ onSessionOver: () => assert.fail('no session is over') }), 'x/y')
  assert.deepEqual([request?.path, request?.method, request?.keepalive], ['/api/media/x%2Fy', 'DELETE', true])
})
