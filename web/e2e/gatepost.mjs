// Starts and stops the real binary and a real browser, for the tests in this folder and the benches: `useStack`, or the
// parts of it. Every file is in a temporary directory; a running Gatepost and its data are never touched.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before } from 'node:test'
import { promisify } from 'node:util'

import { chromium } from 'playwright-core'

import { startRelay } from './relay.mjs'

const run = promisify(execFile)
/** A browser on a phone. */
export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true }
/** The timeout of any step on a busy machine. */
export const PATIENCE_MS = 120_000
export const SECOND = 1000
export const MINUTE = 60 * SECOND

/** The value of a required environment variable. */
export function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

/**
 * `gatepost dev` on a port of its own: `{ origin, data, token, hasOriginal, stop }`. `data` is its directory; `token` makes
 * one of the local issuer; `hasOriginal` says whether the file of an upload is in storage; `stop` gives the exit code.
 * Without a configuration it has the one that is built in. `options` are further ones of the command line.
 */
export async function startGatepost(config, { options = [], environment = {} } = {}) {
  const data = await mkdtemp(join(tmpdir(), 'gatepost-e2e-'))
  if (config) await writeFile(join(data, 'gatepost.toml'), config)
  const child = spawn(required('GATEPOST_BIN'), ['dev', '--port', '0', '--data-dir', data, ...options], {
    cwd: data,
    env: { ...process.env, ...environment },
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
    const onEnd = (code) => {
      clearTimeout(timer)
      reject(new Error(`ended with ${code} before it was ready`))
    }
    exit.then(onEnd, reject)
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
    return { origin: await ready, data, token, hasOriginal, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Chromium, through a relay if there is one. */
export function startBrowser(relay) {
  return chromium.launch(launchOptions(relay))
}

/** Chromium with one profile on disk, in this folder: a context of Playwright. */
export function startProfile(folder, options) {
  return chromium.launchPersistentContext(folder, { ...launchOptions(), ...options })
}

function launchOptions(relay) {
  return {
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
  }
}

/**
 * A page in a separate browser profile that collects problems: `complaints()` lists messages of its console, its
 * scripts and its content security policy. Chromium's lines about answers with 401, 403, 404 or 503 are left out,
 * because the tests request them, and those about lost connections where the page has `expectedFailures`.
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
    if (page.expectedFailures && /^Failed to load resource: net::ERR_/.test(text)) return
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

/**
 * Everything that the tests of one `describe` run on: `{ gatepost, relay, browser, visit, signIn, newcomer }`. It starts
 * before the first test. It stops after the last one, and fails then if a page had complaints or Gatepost did not stop
 * cleanly. The relay holds uploads where a test needs it, so that no test depends on the machine's speed.
 */
export function useStack() {
  const pages = []
  const stack = {
    /** A page in a separate browser profile. */
    async visit(options) {
      const visitor = await newPage(stack.browser, stack.gatepost.origin, options)
      pages.push(visitor)
      return visitor
    },
    /** Signs somebody in without the page noticing, as in another window. */
    async signIn(page, subject) {
      const authorization = `Bearer ${await stack.gatepost.token(subject)}`
      assert.equal((await page.request.post('/api/session', { headers: { authorization } })).status(), 201)
    },
    /** The page of a user without photos, with a clock that can be advanced. */
    async newcomer(subject, options) {
      const visitor = await stack.visit(options)
      const { page } = visitor
      await page.clock.install()
      await stack.signIn(page, subject)
      await page.goto('/')
      await page.getByTestId('gallery-empty').waitFor()
      return visitor
    },
  }
  before(async () => {
    stack.gatepost = await startGatepost()
    stack.relay = await startRelay(stack.gatepost)
    stack.browser = await startBrowser(stack.relay)
  })
  after(async () => {
    await stack.browser?.close()
    stack.relay?.stop()
    const code = await stack.gatepost?.stop()
    assert.deepEqual(
      pages.flatMap((page) => page.complaints()),
      [],
      'the browser reported no problems',
    )
    assert.equal(code, 0, 'Ctrl-C stops Gatepost cleanly')
  })
  return stack
}

/** Waits for a condition. */
export async function until(isSo) {
  for (const end = Date.now() + PATIENCE_MS; !(await isSo()); ) {
    if (Date.now() > end) throw new Error(`not in time: ${isSo}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Takes a screenshot, if a folder is configured. */
export async function screenshot(page, name, { animations = 'disabled' } = {}) {
  const folder = process.env.GATEPOST_SCREENSHOTS
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), animations })
}
