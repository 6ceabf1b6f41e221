// The memory of the page while 120 photos of a phone are chosen: the peak and the end, of all of the browser's renderer
// processes together. Storage receives nothing meanwhile, so that only the page works. `npm run bench:memory` prints both;
// it needs GATEPOST_BIN, GATEPOST_PHOTO and Linux.

import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { newPage, startBrowser, startGatepost, until } from '../e2e/gatepost.mjs'
import { photo } from '../e2e/photo.mjs'
import { startRelay } from '../e2e/relay.mjs'

const N_PHOTOS = 120
const run = promisify(execFile)

/** The private memory of all renderers in MB. What they share is not counted. */
async function rendererMegabytes() {
  const { stdout } = await run('pgrep', ['-f', 'type=renderer'])
  let kilobytes = 0
  for (const pid of stdout.split('\n').filter(Boolean)) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    kilobytes += Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0)
  }
  return kilobytes / 1024
}

const folder = await mkdtemp(join(tmpdir(), 'gatepost-memory-'))
const gatepost = await startGatepost()
const relay = await startRelay(gatepost)
const browser = await startBrowser(relay)
try {
  const files = []
  for (let n = 0; n < N_PHOTOS; n++) {
    const file = join(folder, `${n}.jpg`)
    // Data after the end of a JPEG is ignored.
    await writeFile(file, Buffer.concat([photo.buffer, Buffer.from(String(n))]))
    files.push(file)
  }
  const { page } = await newPage(browser, gatepost.origin)
  const authorization = `Bearer ${await gatepost.token('alice')}`
  await page.request.post('/api/session', { headers: { authorization } })
  await page.goto('/')
  await page.getByTestId('gallery-empty').waitFor()
  const before = await rendererMegabytes()

  relay.cut()
  const started = performance.now()
  let peak = 0
  let isDone = false
  const sampling = (async () => {
    for (; !isDone; await new Promise((resolve) => setTimeout(resolve, 20))) {
      peak = Math.max(peak, await rendererMegabytes())
    }
  })()
  await page.getByTestId('file-input').setInputFiles(files)
  await until(async () => (await page.getByTestId('upload').count()) === N_PHOTOS)
  const previewOf = (row) => row.locator('.upload-thumb :is(img, canvas)')
  await previewOf(page.getByTestId('upload').first()).waitFor()
  const firstSeconds = (performance.now() - started) / 1000
  // Previews are made when they are seen.
  for (const row of await page.getByTestId('upload').all()) {
    await row.scrollIntoViewIfNeeded()
    await previewOf(row).waitFor()
  }
  const seconds = (performance.now() - started) / 1000
  isDone = true
  await sampling
  const mb = (number) => `${number.toFixed(0)} MB`
  console.log(`${N_PHOTOS} photos of ${mb(photo.buffer.length / 1e6)}: ${mb(before)} before, ${mb(peak)} at most,`)
  console.log(`${mb(await rendererMegabytes())} when all previews have been seen, after ${seconds.toFixed(1)} s;`)
  console.log(`the first one after ${firstSeconds.toFixed(1)} s`)
} finally {
  await browser.close()
  relay.stop()
  await gatepost.stop()
  await rm(folder, { recursive: true })
}
