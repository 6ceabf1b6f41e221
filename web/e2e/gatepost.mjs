// Starts the real binary and a real browser for the browser tests, and stops both. Used by the tests
// in this folder. Everything lives in a temporary directory of its own; it never touches a running
// Gatepost nor anybody's data.

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { chromium } from 'playwright-core'

const run = promisify(execFile)
const READY_WITHIN_MS = 60_000
const STOPPED_WITHIN_MS = 20_000

/** The value of a variable that the tests can't do without. */
export function required(name) {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set`)
  return value
}

/** `gatepost dev` on a port of its own: `{ origin, token, stop }`. `token` makes one of the local issuer; `stop` gives the exit code. */
export async function startGatepost() {
  const data = await mkdtemp(join(tmpdir(), 'gatepost-e2e-'))
  const child = spawn(required('GATEPOST_BIN'), ['dev', '--port', '0', '--data-dir', data], {
    cwd: data,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit').then(([code, signal]) => code ?? signal)
  const ready = new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no ready line in time')), READY_WITHIN_MS)
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
    const timer = setTimeout(() => child.kill('SIGKILL'), STOPPED_WITHIN_MS)
    const code = await exit
    clearTimeout(timer)
    await rm(data, { recursive: true, force: true })
    return code
  }
  const token = async (subject) => {
    const { stdout } = await run(required('GATEPOST_BIN'), ['token', '--sub', subject, '--data-dir', data])
    return stdout.trim()
  }
  try {
    return { origin: await ready, token, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.GATEPOST_CHROMIUM || '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A page whose headers a test has changed counts as one from the network, which may not ask loopback.
      '--disable-features=LocalNetworkAccessChecks',
    ],
  })
}

/**
 * A page in a browser profile of its own whose complaints are kept: `complaints()` lists what its
 * console, its scripts and its content security policy said, but for the lines in which Chromium
 * notes that a request was answered with 401, 403, 404 or 409, where the tests ask for just that.
 */
export async function newPage(browser, origin, options = {}) {
  const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 860 }, ...options })
  const page = await context.newPage()
  const complaints = []
  page.on('pageerror', (error) => complaints.push(`script: ${error.stack ?? error}`))
  page.on('console', (message) => {
    const text = message.text()
    // Uppy asks S3's refusals for a header that no S3 shows to browsers.
    if (text === 'Refused to get unsafe header "x-amz-error-code"') return
    if (message.type() !== 'error' && !/content security policy/i.test(text)) return
    const refused = /^Failed to load resource: the server responded with a status of 40[1349]\b/.test(text)
    const path = message.location().url ? new URL(message.location().url).pathname : ''
    if (refused && (path === '/api/session' || path.startsWith('/media/') || page.expectedRefusals?.includes(path))) return
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

/** A screenshot, when somebody wants them. */
export async function screenshot(page, name, { animations = 'disabled' } = {}) {
  const folder = process.env.GATEPOST_SCREENSHOTS
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`), animations })
}

/** Slows what the page sends down to so many bytes a second; 0 lets it go again. */
export async function throttle(page, bytesPerSecond) {
  const session = await page.context().newCDPSession(page)
  await session.send('Network.enable')
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput: bytesPerSecond || -1,
  })
  return () => session.detach()
}
