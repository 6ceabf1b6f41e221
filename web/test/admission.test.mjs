// Which files are turned away before anything is sent, and with which words.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { refusalOf, MAX_BYTES } = await source('admission')

const cases = [
  // name, type, size, what the sentence says (null: let through)
  ['a.jpg', 'image/jpeg', 1, null],
  ['a.png', 'image/png', 1, null],
  ['a.webp', 'image/webp', MAX_BYTES, null],
  ['notes.jpg', 'image/jpeg', 20, null],
  ['a.jpg', 'image/jpeg', MAX_BYTES + 1, /limit is 25 MB/],
  ['a.jpg', 'image/jpeg', 0, /empty/],
  ['IMG_1.HEIC', '', 1, /Most Compatible/],
  ['IMG_1.heic', 'image/heic', 1, /Most Compatible/],
  ['IMG_1', 'image/heif', 1, /Most Compatible/],
  ['a.gif', 'image/gif', 1, /JPEG, PNG or WebP/],
  ['a.svg', 'image/svg+xml', 1, /JPEG, PNG or WebP/],
  ['a', '', 1, /JPEG, PNG or WebP/],
]

for (const [name, type, size, expected] of cases) {
  test(`${name} of type "${type}" and ${size} bytes`, () => {
    const refusal = refusalOf({ name, type, size })
    if (expected === null) assert.equal(refusal, null)
    else assert.match(refusal, expected)
  })
}
