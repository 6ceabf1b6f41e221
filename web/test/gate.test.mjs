// The function of delivery mode "function", edge-auth/cloudfront-function/gate.js: its short form is up to date, and
// neither form has syntax that CloudFront's JavaScript runtime 2.0 lacks.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { lacking, minified } from '../../edge-auth/cloudfront-function/minify.mjs'

const folder = new URL('../../edge-auth/cloudfront-function/', import.meta.url)
const read = (name) => readFileSync(new URL(name, folder), 'utf8')

test('gate.min.js is what npm run gate makes', async () => {
  assert.equal(read('gate.min.js'), `${await minified('gate.js')}\n`)
})

test('gate.min.js has nothing that runtime 2.0 lacks', async () => {
  assert.deepEqual(await lacking(read('gate.min.js')), [])
})

test('what runtime 2.0 lacks is found', async () => {
  for (const [code, found] of [
    ['for (const a of b) c(a)', 'for…of'],
    ['for await (const a of b) c(a)', 'for…of'],
    ['class A {}', 'class'],
    ['const a = class {}', 'class'],
    ['const { a } = b', 'destructuring'],
    ['const [a] = b', 'destructuring'],
    ['function f({ a }) {}', 'destructuring'],
    ['f(...a)', 'spread'],
    ['const a = [...b]', 'spread'],
    ['const a = { ...b }', 'spread'],
    ['function f(a = 1) {}', 'a default value'],
    ['a?.b', '?.'],
    ['a ?? b', '??'],
    ['a ??= b', '??='],
    ['a ||= b', '||='],
    ['const a = async () => {}', 'an async arrow function'],
    ['function* f() {}', 'a generator'],
    ['const a = 1n', 'BigInt'],
    ['const a = /a/u', 'the flag u of a regular expression'],
    ['const a = /^a$/', 'a $ in a regular expression'],
    ['const a = /[$]\\$/', undefined],
    ['const a = new Map()', 'Map'],
    ['Promise.all(a)', 'Promise.all'],
    ['a.replaceAll(b, c)', 'replaceAll'],
    ['async function f() { g(await h()) }', 'an await within an expression'],
    ['async function f() { return (await h()).a }', 'an await within an expression'],
    ['let a; for (let i = 0; i < 1; i++) { let b = i }', undefined],
    ['async function f() { const a = await h(); await h(); return await h() }', undefined],
    // A closure over a constant that is declared later does not work in njs.
    ['function f() { return A }\nconst A = 1', 'a constant after a function that uses it'],
    ['const A = 1\nfunction f() { return A }', undefined],
  ]) {
    assert.deepEqual(await lacking(code), found ? [found] : [], code)
  }
})
