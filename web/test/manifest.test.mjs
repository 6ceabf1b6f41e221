// Values derived from a manifest, the return path after signing in, and the digest of a body.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { source } from './source.mjs'

const { bestRenditions, srcset, tileRatio } = await source('manifest')
const { returnPath } = await source('return-path')
const { sha256Hex } = await source('digest')

const rendition = (type, width) => ({
  path: '/media/o/i/not-this-one',
  url: `/media/o/i/0123456789abcdef-${width}.${type.slice(6)}`,
  type,
  width,
  height: width,
  bytes: 1,
})

test('the best of several formats is chosen, smallest rendition first', () => {
  const renditions = [rendition('image/jpeg', 320), rendition('image/webp', 640), rendition('image/webp', 320)]
  const best = bestRenditions({ renditions })
  assert.equal(srcset(best), '/media/o/i/0123456789abcdef-320.webp 320w, /media/o/i/0123456789abcdef-640.webp 640w')
})

test('a tile is never extremely narrow', () => {
  const ratio = (width, height) => tileRatio({ source: { width, height } })
  assert.equal(ratio(4, 2), 2)
  assert.equal(ratio(100, 1), 2.4)
  assert.equal(ratio(1, 100), 0.6)
  assert.equal(ratio(0, 0), 1)
})

for (const [wanted, path] of [
  ['/photos?x=1', '/photos?x=1'],
  ['/', '/'],
  [null, '/'],
  ['', '/'],
  ['https://evil.example/', '/'],
  ['//evil.example/', '/'],
  ['/\\evil.example/', '/'],
  ['/\t/evil.example/', '/'],
  ['javascript:alert(1)', '/'],
  ['/#fragment', '/'],
]) {
  test(`the return path ${JSON.stringify(wanted)} becomes ${path}`, () => assert.equal(returnPath(wanted), path))
}

test('the digest of "abc" is that of FIPS 180-4', async () => {
  assert.equal(await sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
  assert.equal(await sha256Hex(new Blob(['abc'])), await sha256Hex('abc'))
})
