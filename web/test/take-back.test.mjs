// Deleting what was cancelled, whether nothing of it arrived or all of it.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { Fault, takeBack } = await source('fault', 'take-back')

test('it is deleted once whatever was on the way has arrived', async () => {
  const begun = performance.now()
  const asked = []
  await takeBack({ deleteMedia: async (id) => asked.push(id), uploadStatus: () => assert.fail('nobody said that it is pending') }, 'x')
  assert.deepEqual(asked, ['x'])
  assert.ok(performance.now() - begun > 900)
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
  await takeBack(api, 'x')
  assert.deepEqual(said, ['delete', 'status', 'status', 'status', 'delete'])
})

test('any other refusal is an end', async () => {
  const fault = new Fault('session-over', { status: 401 })
  await assert.rejects(takeBack({ deleteMedia: () => Promise.reject(fault), uploadStatus: () => assert.fail('asked') }, 'x'), fault)
})
