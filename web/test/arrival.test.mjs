// Which try of an upload has arrived.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { arrivedOf, Fault } = await source('arrival', 'fault')

const CASES = [
  ['no try', [], undefined],
  ['a pending try', ['pending'], undefined],
  ['a try whose form has expired', ['unknown'], undefined],
  ['a ready try', ['ready'], 'try-0'],
  ['an earlier try that is ready, beside a later one', ['ready', 'pending'], 'try-0'],
  ['an earlier try that is ready, beside a later one that failed', ['ready', 'failed'], 'try-0'],
  ['a later try that is ready', ['unknown', 'failed', 'ready'], 'try-2'],
  ['a rejected try', ['pending', 'rejected'], 'try-1'],
  ['a try that was deleted elsewhere', ['deleted'], 'try-0'],
]

function answering(statuses) {
  return {
    async uploadStatus(id) {
      const status = statuses[Number(id.split('-')[1])]
      if (status === 'unknown') throw new Fault('refused', { status: 404 })
      return { id, status }
    },
  }
}

const idsOf = (statuses) => statuses.map((_, n) => `try-${n}`)
const never = () => new AbortController().signal

for (const [what, statuses, expected] of CASES) {
  test(`${what}: ${expected ?? 'nothing has arrived'}`, async () => {
    const upload = { ids: idsOf(statuses), hasArrived: false }
    assert.equal(await arrivedOf(answering(statuses), upload, never()), expected)
  })
}

test('a pending try has arrived if storage has confirmed it', async () => {
  const statuses = ['pending', 'pending']
  const upload = { ids: idsOf(statuses), hasArrived: true }
  assert.equal(await arrivedOf(answering(statuses), upload, never()), 'try-1')
})

for (const earlier of ['rejected', 'failed', 'deleted', 'unknown']) {
  test(`a confirmed try counts, and an earlier one that is ${earlier} does not`, async () => {
    const statuses = [earlier, 'pending']
    const upload = { ids: idsOf(statuses), hasArrived: true }
    assert.equal(await arrivedOf(answering(statuses), upload, never()), 'try-1')
  })
}

test('an earlier try that is ready counts before a confirmed one', async () => {
  const statuses = ['ready', 'pending']
  const upload = { ids: idsOf(statuses), hasArrived: true }
  assert.equal(await arrivedOf(answering(statuses), upload, never()), 'try-0')
})

test('a question that fails tells nothing', async () => {
  const api = { uploadStatus: async () => Promise.reject(new Fault('unreachable')) }
  await assert.rejects(arrivedOf(api, { ids: ['a'], hasArrived: true }, never()), { kind: 'unreachable' })
})
