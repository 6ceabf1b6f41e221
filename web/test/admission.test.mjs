// Which files are refused before anything is sent, and the sentence for each.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { isRubbish, refusalOf } = await source('admission')
const MAX_BYTES = 25 * 1024 * 1024
const LIMITS = { types: ['image/jpeg', 'image/png', 'image/webp'], max_bytes: MAX_BYTES }

const cases = [
  // name, type, size, expected sentence (null: accepted)
  ['a.jpg', 'image/jpeg', 1, null],
  ['a.png', 'image/png', 1, null],
  ['a.webp', 'image/webp', MAX_BYTES, null],
  ['notes.jpg', 'image/jpeg', 20, null],
  [
    'a.jpg',
    'image/jpeg',
    MAX_BYTES + 1,
    /^This file is 25\.1 MB\. The limit is 25 MB\. Please upload a smaller version\.$/,
  ],
  ['a.jpg', 'image/jpeg', 0, /empty/],
  ['IMG_1.HEIC', '', 1, /Most Compatible/],
  ['IMG_1.heic', 'image/heic', 1, /Most Compatible/],
  ['IMG_1', 'image/heif', 1, /Most Compatible/],
  ['a.gif', 'image/gif', 1, /a JPEG, PNG or WebP image/],
  [
    'a.svg',
    'image/svg+xml',
    1,
    /^SVG and other XML files are not accepted, because they can carry scripts\. Please export the drawing as PNG\.$/,
  ],
  ['a', '', 1, /^This isn’t a photo we can accept\. Please choose a JPEG, PNG or WebP image\.$/],
]

for (const [name, type, size, expected] of cases) {
  test(`${name} of type "${type}" and ${size} bytes is ${expected === null ? 'accepted' : 'refused'}`, () => {
    const refusal = refusalOf({ name, type, size }, LIMITS)
    if (expected === null) assert.equal(refusal, null)
    else assert.match(refusal, expected)
  })
}

test('a size is rounded up and a limit down', () => {
  const limits = { ...LIMITS, max_bytes: 25_000_000 }
  assert.match(
    refusalOf({ name: 'a.jpg', type: 'image/jpeg', size: 25_000_001 }, limits),
    /23\.9 MB\. The limit is 23\.8 MB/,
  )
  assert.match(
    refusalOf({ name: 'a.jpg', type: 'image/jpeg', size: 2049 }, { ...LIMITS, max_bytes: 2048 }),
    /3 KB\. The limit is 2 KB/,
  )
})

test('every site has its own limits', () => {
  const limits = { types: ['image/gif', 'image/tiff'], max_bytes: 10 }
  assert.equal(refusalOf({ name: 'a.gif', type: 'image/gif', size: 10 }, limits), null)
  assert.match(refusalOf({ name: 'a.jpg', type: 'image/jpeg', size: 1 }, limits), /a GIF or image\/tiff image/)
  assert.match(refusalOf({ name: 'a.gif', type: 'image/gif', size: 11 }, limits), /limit is 10 B/)
})

for (const [name, expected] of [
  ['.DS_Store', true],
  ['._IMG_1.jpg', true],
  ['Thumbs.db', true],
  ['DESKTOP.INI', true],
  ['.hidden.jpg', false],
  ['thumbs.db.jpg', false],
  ['IMG_1.jpg', false],
]) {
  test(`${name} is ${expected ? 'a file of the system' : 'a photo'}`, () => assert.equal(isRubbish({ name }), expected))
}
