// The type of a file by its first bytes, whatever its name says.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { contentTypeOf } = await source('content-type')

const CASES = [
  ['a JPEG', [0xff, 0xd8, 0xff, 0xe0], 'image/jpeg'],
  ['a PNG', [0x89, 'PNG', 0x0d, 0x0a, 0x1a, 0x0a], 'image/png'],
  ['a GIF', ['GIF89a'], 'image/gif'],
  ['a WebP', ['RIFF', 0, 1, 2, 3, 'WEBPVP8 '], 'image/webp'],
  ['an AVIF', [0, 0, 0, 28, 'ftypavif'], 'image/avif'],
  ['a HEIC of a phone', [0, 0, 0, 36, 'ftypheic'], 'image/heic'],
  ['a HEIC of another encoder', [0, 0, 0, 24, 'ftypmif1'], 'image/heif'],
  ['a sound in a RIFF file', ['RIFF', 0, 1, 2, 3, 'WAVE'], 'text/plain'],
  ['a film', [0, 0, 0, 32, 'ftypisom'], 'text/plain'],
  ['half of a JPEG’s signature', [0xff, 0xd8], 'text/plain'],
  ['the name of a member of every object', [0, 0, 0, 32, 'ftypconstructor'], 'text/plain'],
  ['no bytes', [], 'text/plain'],
]

for (const [what, parts, expected] of CASES) {
  test(`${what} is declared as ${expected}`, async () => {
    const bytes = parts.map((part) => (typeof part === 'string' ? part : new Uint8Array([part])))
    assert.equal(await contentTypeOf(new Blob(bytes, { type: 'text/plain' })), expected)
  })
}

test('only the beginning is read', async () => {
  const file = {
    type: 'image/jpeg',
    slice: (from, to) => new Blob([new Uint8Array(to - from)]),
    arrayBuffer: () => assert.fail('the whole file'),
  }
  assert.equal(await contentTypeOf(file), 'image/jpeg')
})
