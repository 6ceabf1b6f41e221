// A relay between the browser and the storage, so that a test controls the progress of an upload. Started by `useStack`
// in gatepost.mjs. It never changes a byte.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A connection that has carried more than this holds an upload, not only a preceding request. */
const LARGE_BYTES = 64 * 1024
/** The end of a multipart body (RFC 2046, section 5.1.1). */
const END_OF_FORM = Buffer.from('--\r\n')

/**
 * A relay between the browser and the storage, so that a test controls the progress of an upload, independent of the
 * machine's speed: `{ rules, hold, stop }`. `rules` sends the browser here.
 *
 * `hold('requests')` stops uploads soon after they have begun. `hold('arrivals')` receives them in full, like a slow
 * line, and forwards them once it is released, even if the browser has disconnected. `hold('answers')` holds back the
 * storage's answers. Each returns `{ received, answered, release }`: a promise that an upload has arrived here in full,
 * a promise of the status of the next answer to one, and the release of the hold.
 *
 * `cut()` breaks every connection of browsers, and new ones at once, until the function that it returns is called.
 */
export async function startRelay(gatepost) {
  const storage = await storageOf(gatepost)
  const free = { requests: Promise.resolve(), answers: Promise.resolve(), onReceived() {}, onAnswer() {} }
  const statusOf = (answer) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer.toString('latin1'))?.[1])
  let gate = free
  let isCut = false
  const browsers = new Set()
  const server = createServer((browser) => {
    if (isCut) return browser.destroy()
    browsers.add(browser)
    browser.on('close', () => browsers.delete(browser))
    const upstream = connect(storage.port, storage.hostname)
    let nBytes = 0
    // The hold of the upload on this connection, from its beginning to its answer.
    let held
    const { promise: isAnswered, resolve: onAnswer } = withResolvers()
    const there = async function* (chunks) {
      const late = []
      for await (const chunk of chunks) {
        nBytes += chunk.length
        if (nBytes > LARGE_BYTES) held ??= gate
        await held?.requests
        if (chunk.subarray(-4).equals(END_OF_FORM)) held?.onReceived()
        if (held?.arrivals) late.push(chunk)
        else yield chunk
      }
      if (late.length === 0) return
      await held.arrivals
      yield* late
      // The storage drops a request whose sender disconnects.
      await isAnswered
    }
    const back = async function* (chunks) {
      for await (const chunk of chunks) {
        if (held) {
          held.onAnswer(statusOf(chunk))
          await held.answers
          held = undefined
          nBytes = 0
          onAnswer()
        }
        yield chunk
      }
    }
    // The storage sees the disconnection only after the sent data was forwarded.
    const sent = new PassThrough()
    const answers = new PassThrough()
    for (const stream of [sent, answers]) stream.on('error', () => browser.destroy())
    browser.on('error', () => {}).on('close', () => sent.end())
    browser.pipe(sent)
    answers.pipe(browser)
    pipeline(sent, there, upstream).catch(() => {})
    pipeline(upstream, back, answers).catch(() => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const hold = (what) => {
    const { promise: received, resolve: onReceived } = withResolvers()
    const { promise: answered, resolve: onAnswer } = withResolvers()
    const { promise: released, resolve: release } = withResolvers()
    gate = { ...free, [what]: released, onReceived, onAnswer }
    return {
      received,
      answered,
      release() {
        gate = free
        release()
      },
    }
  }
  const cut = () => {
    isCut = true
    for (const browser of browsers) browser.destroy()
    return () => (isCut = false)
  }
  return { cut, rules: `MAP ${storage.host} 127.0.0.1:${server.address().port}`, hold, stop: () => server.close() }
}

/** The address that forms are posted to. */
async function storageOf({ origin, token }) {
  const response = await fetch(`${origin}/api/uploads`, {
    method: 'POST',
    headers: { authorization: `Bearer ${await token('nobody')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ content_type: 'image/jpeg', size: 1 }),
  })
  return new URL((await response.json()).url)
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function withResolvers() {
  let resolve
  const promise = new Promise((settle) => (resolve = settle))
  return { promise, resolve }
}
