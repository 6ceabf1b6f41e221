// A session that is renewed while the page is open, and one that is no longer renewed.

import assert from 'node:assert/strict'
import { afterEach, beforeEach, mock, test } from 'node:test'

import { source } from './source.mjs'

const { SessionWatch, startSession } = await source('session')

const MINUTE = 60_000
let now, who, asked, told, listeners, answers, tabs
/** How far the server's clock is ahead of the browser's. */
let clockDifference = 0

beforeEach(() => {
  mock.timers.reset()
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-11-25T12:00:00Z') })
  now = () => new Date(Date.now()).toISOString()
  who = 'alice'
  asked = []
  told = []
  listeners = {}
  // These replace the server's answers, as long as there are any.
  answers = []
  tabs = []
  globalThis.BroadcastChannel = class {
    addEventListener(_, listener) {
      this.listener = listener
      tabs.push(this)
    }
    postMessage() {
      for (const tab of tabs) if (tab !== this) tab.listener()
    }
  }
  let held = Promise.resolve()
  const request = (_, act) => {
    const answer = held.then(act)
    held = answer.catch(() => {})
    return answer
  }
  Object.defineProperty(globalThis, 'navigator', { value: { locks: { request } }, configurable: true })
  globalThis.document = { addEventListener() {}, hidden: false }
  globalThis.window = { addEventListener: (name, listener) => (listeners[name] = listener) }
  globalThis.fetch = async (_path, { method = 'GET', headers } = {}) => {
    asked.push({ method, headers })
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    if (answer) return answer()
    if (method === 'GET')
      return who === null ? new Response('', { status: 401 }) : Response.json({ sub: who, owner: who })
    // Fifteen minutes each, but never beyond the token's expiry at 13:00.
    const end = Math.min(Date.now() + 15 * MINUTE, Date.parse('2026-11-25T13:00:00Z'))
    const date = new Date(Date.now() + clockDifference).toUTCString()
    return Response.json(
      { expires_at: new Date(end + clockDifference).toISOString() },
      { status: 201, headers: { date } },
    )
  }
})

const { BroadcastChannel } = globalThis
afterEach(() => {
  clockDifference = 0
  globalThis.BroadcastChannel = BroadcastChannel
})

const down = () => Promise.reject(new TypeError('Failed to fetch'))

const listener = {
  onOver: () => told.push('over'),
  onBack: () => told.push('back'),
  onRenewed() {},
  onSomeoneElse: () => told.push('someone else'),
}
const renewals = () => asked.filter(({ method }) => method === 'POST').length

/** Advances the clock in small steps, so that pending answers are handled in between. */
async function pass(minutes) {
  for (let n = 0; n < minutes * 2; n += 1) {
    mock.timers.tick(MINUTE / 2)
    // A digest is computed on another thread.
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    await crypto.subtle.digest('SHA-256', new Uint8Array())
  }
}

test('a token becomes a session, by a call with the digest of its empty body', async () => {
  assert.deepEqual(await startSession('a token'), { token: 'a token', lastsMs: 15 * MINUTE })
  assert.deepEqual(asked, [
    {
      method: 'POST',
      headers: {
        authorization: 'Bearer a token',
        'x-amz-content-sha256': 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      },
    },
  ])
})

test('a session is renewed before it expires, until the token expires', async () => {
  new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
  await pass(9)
  assert.equal(renewals(), 1)
  await pass(2)
  assert.equal(renewals(), 2, `at ${now()}`)
  await pass(180)
  assert.deepEqual(told, [])
  const made = renewals()
  assert.ok(made >= 6 && made <= 10, `${made} sessions of a token that lasts an hour`)
  assert.ok(
    asked.every(({ method }, idx) => method === 'GET' || idx === 0 || asked[idx - 1].method === 'GET'),
    'it checks the session first',
  )
})

for (const [changed, said] of [
  [null, 'over'],
  ['bob', 'someone else'],
]) {
  test(`when ${changed ?? 'nobody'} is signed in meanwhile, nothing is renewed`, async () => {
    new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
    who = changed
    await pass(60)
    assert.deepEqual(told, [said])
    assert.equal(renewals(), 1)
  })
}

test('concurrent checks share one request', async () => {
  new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
  await pass(9)
  who = null
  // The browser wakes up: its window has the focus again, and the timer is long overdue.
  listeners.focus()
  mock.timers.tick(10 * MINUTE)
  await pass(1)
  assert.deepEqual(told, ['over'])
  assert.equal(renewals(), 1)
})

test('without an answer nothing is renewed, and the check is retried', async () => {
  new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
  answers = [down]
  await pass(12)
  assert.equal(renewals(), 1)
  answers = []
  await pass(1)
  assert.equal(renewals(), 2)
  assert.deepEqual(told, [])
})

test('without a token nothing is renewed', async () => {
  new SessionWatch({ sub: 'alice', owner: 'alice' }, listener)
  await pass(60)
  assert.deepEqual(asked, [])
})

for (const [what, answer] of [
  ['an error', () => new Response('', { status: 503 })],
  ['a truncated answer', () => new Response('{"expires', { status: 201 })],
]) {
  test(`after ${what} the renewal is retried`, async () => {
    new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
    await pass(9)
    assert.equal(renewals(), 1)
    answers = [() => Response.json({ owner: 'alice' }), answer, undefined]
    await pass(3)
    assert.equal(renewals(), 3)
    assert.deepEqual(told, [])
  })
}

for (const minutes of [-20, 20]) {
  test(`a server whose clock is ${minutes} minutes ahead makes no difference`, async () => {
    clockDifference = minutes * MINUTE
    new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
    await pass(11)
    assert.equal(renewals(), 2)
  })
}

test('signing out waits for a renewal in progress in any tab, and no renewal follows', async () => {
  new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
  const elsewhere = new SessionWatch({ sub: 'alice', owner: 'alice' }, { onOver() {} })
  await pass(1)
  asked = []
  let renew
  answers = [() => Response.json({ owner: 'alice' }), () => new Promise((resolve) => (renew = resolve)), undefined]
  await pass(10)
  assert.equal(renewals(), 1)
  const order = []
  const out = elsewhere.signOut(async () => {
    order.push('ended')
    who = null
  })
  await pass(1)
  assert.deepEqual(order, [])
  order.push('renewed')
  renew(Response.json({ expires_at: new Date(Date.now() + 15 * MINUTE).toISOString() }, { status: 201 }))
  await out
  assert.deepEqual(order, ['renewed', 'ended'])
  await pass(60)
  assert.equal(renewals(), 1)
  assert.deepEqual(told, ['over'])
})

test('after a failed sign-out the session is renewed as before', async () => {
  const watch = new SessionWatch({ sub: 'alice', owner: 'alice' }, listener, await startSession('a token'))
  await assert.rejects(watch.signOut(() => Promise.reject(new Error('down'))))
  await pass(11)
  assert.equal(renewals(), 2)
})

test('a session is renewed before its time, and then in time', async () => {
  const renewed = []
  const onRenewed = () => renewed.push(now())
  const watch = new SessionWatch(
    { sub: 'alice', owner: 'alice' },
    { ...listener, onRenewed },
    await startSession('a token'),
  )
  await pass(5)
  await watch.renew()
  assert.equal(renewals(), 2)
  await pass(9)
  assert.equal(renewals(), 2, 'the clock begins again')
  await pass(2)
  assert.equal(renewals(), 3)
  assert.equal(renewed.length, 2)
  assert.deepEqual(told, [])
})

test('without a token, or with one that is refused, a session is not renewed before its time', async () => {
  const onRenewed = () => assert.fail('renewed')
  await new SessionWatch({ sub: 'alice', owner: 'alice' }, { ...listener, onRenewed }).renew()
  assert.deepEqual(asked, [])

  const watch = new SessionWatch(
    { sub: 'alice', owner: 'alice' },
    { ...listener, onRenewed },
    await startSession('a token'),
  )
  answers = [() => Response.json({ owner: 'alice' }), () => new Response('', { status: 401 }), undefined]
  await watch.renew()
  assert.equal(renewals(), 2)
  await watch.renew()
  assert.equal(renewals(), 2)
  assert.deepEqual(told, [])
})

test('a suspicion tells whether the session goes on', async () => {
  const watch = new SessionWatch({ sub: 'alice', owner: 'alice' }, listener)
  assert.equal(await watch.suspect(), true)
  answers = [down]
  assert.equal(await watch.suspect(), false)
  answers = []
  who = null
  assert.equal(await watch.suspect(), false)
  assert.deepEqual(told, ['over'])
  assert.equal(await watch.suspect(), false, 'it is over until somebody signs in')
})

test('signing in or out in one tab makes the others check', async () => {
  new SessionWatch({ sub: 'alice', owner: 'alice' }, listener)
  who = 'bob'
  new SessionWatch({ sub: 'bob', owner: 'bob' }, { onSomeoneElse: () => assert.fail('it is bob') })
  await pass(1)
  assert.deepEqual(told, ['someone else'])
})
