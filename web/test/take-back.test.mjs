// Deleting what was cancelled, whether nothing of it arrived, all of it, or the rest much later.

import assert from 'node:assert/strict'
import { beforeEach, mock, test } from 'node:test'

import { source } from './source.mjs'

const { Fault, takeBack } = await source('fault', 'take-back')

const SECOND = 1_000
let begun

beforeEach(() => {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout', 'Date'] })
  begun = Date.now()
})

async function pass(seconds) {
  for (let n = 0; n < seconds * 2; n += 1) {
    mock.timers.tick(SECOND / 2)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const nobodyAsks = () => assert.fail('nobody said that it is pending')

test('it is deleted soon, and again for what a slow line still held', async () => {
  const at = []
  const done = takeBack({ deleteMedia: async (id) => at.push([id, (Date.now() - begun) / SECOND]), uploadStatus: nobodyAsks }, 'x')
  await pass(400)
  await done
  assert.deepEqual(at, [1, 11, 71, 371].map((seconds) => ['x', seconds]))
})

test('what is being worked on is deleted when that is done', async () => {
  const said = []
  const api = {
    deleteMedia: async () => {
      said.push('delete')
      if (said.length === 1) throw new Fault('refused', { status: 409 })
    },
    uploadStatus: async () => {
      said.push('status')
      return { id: 'x', status: said.length < 4 ? 'pending' : 'ready' }
    },
  }
  void takeBack(api, 'x')
  await pass(5)
  assert.deepEqual(said, ['delete', 'status', 'status', 'status', 'delete'])
})

test('a failure that passes is outlasted', async () => {
  let deleted = 0
  const faults = [new Fault('unreachable'), new Fault('session-over', { status: 401 }), new Fault('unexpected', { status: 503 })]
  const api = {
    deleteMedia: async () => {
      const fault = faults.shift()
      if (fault) throw fault
      deleted += 1
    },
    uploadStatus: nobodyAsks,
  }
  void takeBack(api, 'x')
  await pass(400)
  assert.equal(deleted, 1)
})
