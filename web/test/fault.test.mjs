// The sentence that a person reads for each kind of failure.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { faultOf, sentenceFor, storageFault } = await source('fault')

const problem = (status, body) =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/problem+json' } })

test('a refusal shows the detail of its problem document', async () => {
  const fault = await faultOf(problem(422, { title: 'Too large', detail: 'Photos may have 25 MB.' }))
  assert.equal(fault.kind, 'refused')
  assert.equal(sentenceFor(fault), 'Photos may have 25 MB.')
})

test('a 401 ends the session, with any body', async () => {
  assert.equal((await faultOf(problem(401, { detail: 'expired' }))).kind, 'session-over')
})

test('a server error shows the reference, not the server’s text', async () => {
  const response = problem(500, { title: 'Internal', detail: 'stack' })
  response.headers.set('x-request-id', 'r-1')
  const fault = await faultOf(response)
  assert.equal(fault.kind, 'unexpected')
  assert.match(sentenceFor(fault), /r-1/)
  assert.doesNotMatch(sentenceFor(fault), /stack/)
})

test('an answer that is not a problem document still gives a sentence', async () => {
  assert.match(sentenceFor(await faultOf(new Response('<html>', { status: 404 }))), /try again/)
  assert.match(
    sentenceFor(
      await faultOf(new Response('{', { status: 400, headers: { 'content-type': 'application/problem+json' } })),
    ),
    /try again/,
  )
})

const storage = [
  [403, '<Error><Code>AccessDenied</Code><Message>Policy expired.</Message></Error>', /run out/],
  [400, '<?xml version="1.0"?>\n<Error><Code>EntityTooLarge</Code></Error>', /larger/],
  [503, '<Error><Code>SlowDown</Code></Error>', /busy/],
  [400, '<Error><Code>SomethingNew</Code></Error>', /Storage didn/],
  [500, undefined, /Storage didn/],
  [0, undefined, /connection was lost/],
]
for (const [status, xml, expected] of storage) {
  test(`S3’s answer ${status} ${xml ?? 'without a body'} becomes a sentence`, () =>
    assert.match(sentenceFor(storageFault(status, xml)), expected))
}

test('every thrown value gives a sentence', () => {
  assert.match(sentenceFor(new TypeError('x is undefined')), /try again/)
  assert.match(sentenceFor(undefined), /try again/)
})
