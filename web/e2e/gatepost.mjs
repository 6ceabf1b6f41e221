// Starts and stops the real binary, a relay in front of its storage and a real browser. Used by the tests in this
// folder. Every file is in a temporary directory; a running Gatepost and its data are never touched.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'

import { chromium } from 'playwright-core'

const run = promisify(execFile)
/** The timeout of any step on a busy machine. */
export const PATIENCE_MS = 120_000
/** A connection that has carried more than this holds an upload, not only a preceding request. */
const LARGE_BYTES = 64 * 1024
/** The end of a multipart body (RFC 2046, section 5.1.1). */
const END_OF_FORM = Buffer.from('--\r\n')

/** The value of a required environment variable. */
export function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

/**
 * `gatepost dev` on a port of its own: `{ origin, token, hasOriginal, stop }`. `token` makes one of the local issuer;
 * `hasOriginal` says whether the file of an upload is in storage; `stop` gives the exit code. Without a configuration it
 * has the one that is built in.
 */
export async function startGatepost(config) {
  const data = await mkdtemp(join(tmpdir(), 'gatepost-e2e-'))
  if (config) await writeFile(join(data, 'gatepost.toml'), config)
  const child = spawn(required('GATEPOST_BIN'), ['dev', '--port', '0', '--data-dir', data], {
    cwd: data,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit').then(([code, signal]) => code ?? signal)
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no ready line in time')), PATIENCE_MS)
    createInterface({ input: child.stdout }).on('line', (line) => {
      const origin = /^ready (http:\/\/127\.0\.0\.1:\d+)\/?$/.exec(line)?.[1]
      if (!origin) return
      clearTimeout(timer)
      resolve(origin)
    })
    child.once('error', reject)
    exit.then((code) => reject(new Error(`ended with ${code} before it was ready`)), reject)
  })

  const stop = async () => {
    child.kill('SIGINT')
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS)
    const code = await exit
    clearTimeout(timer)
    await rm(data, { recursive: true, force: true })
    return code
  }
  const token = async (subject) => {
    const { stdout } = await run(required('GATEPOST_BIN'), ['token', '--sub', subject, '--data-dir', data])
    return stdout.trim()
  }
  const hasOriginal = async (id) => {
    const files = await readdir(data, { recursive: true })
    return files.some((path) => new RegExp(`/uploads/\\w+/${id}$`).test(path))
  }
  try {
    return { origin: await ready, token, hasOriginal, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/**
 * A relay between the browser and the storage, so that a test controls the progress of an upload, independent of the
 * machine's speed: `{ rules, hold, stop }`. `rules` sends the browser here.
 *
 * `hold('requests')` stops uploads soon after they have begun. `hold('arrivals')` receives them in full, like a slow
 * line, and forwards them once it is released, even if the browser has disconnected. `hold('answers')` holds back the
 * storage's answers. Each returns `{ received, answered, release }`: a promise that an upload has arrived here in full,
 * a promise of the status of the next answer to one, and the release of the hold.
 */
export async function startRelay(gatepost) {
  const storage = await storageOf(gatepost)
  const free = { requests: Promise.resolve(), answers: Promise.resolve(), onReceived() {}, onAnswer() {} }
  const statusOf = (answer) => Number(/^HTTP\/1\.1 (\d+)/.exec(answer.toString('latin1'))?.[1])
  let gate = free
  const server = createServer((browser) => {
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
  return { rules: `MAP ${storage.host} 127.0.0.1:${server.address().port}`, hold, stop: () => server.close() }
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

/** Chromium, through a relay if there is one. */
export function startBrowser(relay) {
  return chromium.launch({
    executablePath: process.env.GATEPOST_CHROMIUM || '/usr/bin/chromium',
    timeout: PATIENCE_MS,
    args: [
      ...(relay ? [`--host-resolver-rules=${relay.rules}`] : []),
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Chromium treats a page with headers changed by a test as a page from the network, which must not access
      // loopback.
      '--disable-features=LocalNetworkAccessChecks',
    ],
  })
}

/**
 * A page in a separate browser profile that collects problems: `complaints()` lists messages of its console, its
 * scripts and its content security policy. Chromium's lines about answers with 401, 403, 404 or 503 are left out,
 * because the tests request them.
 */
export async function newPage(browser, origin, options = {}) {
  const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 860 }, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints = []
  page.on('pageerror', (error) => complaints.push(`script: ${error.stack ?? error}`))
  page.on('console', (message) => {
    const text = message.text()
    // For S3's refusals, Uppy reads a header that S3 never exposes to browsers.
    if (text === 'Refused to get unsafe header "x-amz-error-code"') return
    if (message.type() !== 'error' && !/content security policy/i.test(text)) return
    const refused = /^Failed to load resource: the server responded with a status of (?:40[134]|503)\b/.test(text)
    const path = message.location().url ? new URL(message.location().url).pathname : ''
    if (refused && (path === '/api/session' || path.startsWith('/media/') || page.expectedRefusals?.includes(path)))
      return
    complaints.push(`console: ${text} (${message.location().url})`)
  })
  await page.exposeFunction('reportViolation', (violation) => complaints.push(`policy: ${violation}`))
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      window.reportViolation(`${event.effectiveDirective} refused ${event.blockedURI || 'inline'}`)
    })
  })
  return { page, complaints: () => complaints, close: () => context.close() }
}

/** Takes a screenshot, if a folder is configured. */
export async function screenshot(page, name, { animations = 'disabled' } = {}) {
  const folder = process.env.GATEPOST_SCREENSHOTS
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), animations })
}
