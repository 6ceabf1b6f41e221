// Measures what a browser and the origin transfer for ten page views of 24 photos, in each way to authorize them. Prints a
// Markdown table for docs/delivery.md. Run by `npm run bench:transfer` with GATEPOST_BIN, and by `cargo xtask bench
// transfer`; modes as arguments choose rows. It measures bytes and requests, never time.
//
// One stack keeps the photos. For each row another one, with its embedded S3 replaced by the first one's, serves them in
// the row's mode to a new browser profile. Between the two a proxy (`counter.mjs`) counts the answers of the bucket, so
// that "origin" is what really was transferred, not what `X-Cache` says. "Browser" is what Chromium reports for images
// over its DevTools protocol: the bytes that arrived, with headers. Nothing of it is intercepted, and the HTTP cache is on.
//
// The views follow one another at once, each in a new tab. Two things depend on that. With windows all views are within
// one, and all within the minute for which the distribution keeps a presigned answer: views that are further apart cost
// the origin more in the presigned rows. A row during which a window ended is measured again. With unique URLs each view
// waits until the API signs other URLs than before. Credentials on AWS have a session token, which adds about a kilobyte
// to each presigned URL; the local ones have none.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { uploadAs } from '../e2e/client.mjs'
import { draw } from '../e2e/drawing.mjs'
import { startBrowser, startGatepost, startProfile, until } from '../e2e/gatepost.mjs'
import { startCounter } from './counter.mjs'

const PHOTOS = 24
const VIEWS = 10
const SIZE = { width: 1600, height: 1200 }
/** High enough for all photos: lazy images that nobody scrolls to are not loaded. */
const VIEWPORT = { width: 1280, height: 3200 }

const OWN_MEDIA = `
[token]
from = ["authorization", "cookie:__Host-gatepost"]
[[rules]]
path  = "/media/{owner}/**"
allow = "owner"
`
/** Signatures are dated to the second. */
const UNIQUE = '1s'
const ROWS = [
  { name: 'presigned, unique URLs', mode: 'presigned', window: UNIQUE },
  { name: 'presigned, windows of 5 minutes', mode: 'presigned', window: '5m' },
  { name: 'signed cookies', mode: 'signed' },
  { name: 'JWT at the edge: Lambda@Edge', mode: 'lambda' },
  { name: 'JWT at the edge: CloudFront Function', mode: 'function' },
]

const chosen = process.argv.slice(2)
const rows = ROWS.filter(({ mode }) => chosen.length === 0 || chosen.includes(mode))

const storage = await startGatepost()
try {
  const version = await uploadPhotos()
  const counter = await startCounter(`http://127.0.0.1:${await storageFile('s3/.port')}`)
  const measured = []
  try {
    for (const row of rows) {
      process.stderr.write(`${row.name}\n`)
      measured.push({ ...row, views: await measureWithinWindow(row, counter) })
    }
  } finally {
    counter.stop()
  }
  process.stdout.write(`${table(measured)}\n\n${setup(measured, version)}\n`)
} finally {
  await storage.stop()
}

async function storageFile(name) {
  return (await readFile(join(storage.data, name), 'utf8')).trim()
}

/** Draws the photos and uploads them; returns the browser's version. */
async function uploadPhotos() {
  const browser = await startBrowser()
  try {
    const page = await browser.newPage()
    for (let seed = 1; seed <= PHOTOS; seed += 1) {
      await uploadAs(storage, 'alice', await draw(page, { ...SIZE, seed }))
    }
    return browser.version()
  } finally {
    await browser.close()
  }
}

/** Measures a row again if its window ended meanwhile, because later views then have other URLs. */
async function measureWithinWindow(row, counter) {
  for (let tries = 0; tries < 3; tries += 1) {
    const views = await measure(row, counter)
    if (row.window === UNIQUE || new Set(views.map(({ address }) => address)).size === 1) return views
  }
  throw new Error('a window has ended during each measurement; run this on a faster machine')
}

/** The views of one row, each with its transfers and the address of a picture. */
async function measure({ mode, window }, counter) {
  const { access_key_id, secret_access_key } = JSON.parse(await storageFile('s3-credentials.json'))
  const gatepost = await startGatepost(window ? `${OWN_MEDIA}[links]\nshared_within = "${window}"\n` : OWN_MEDIA, {
    options: ['--delivery', mode, '--endpoint-url', counter.endpoint],
    environment: {
      AWS_ACCESS_KEY_ID: access_key_id,
      AWS_SECRET_ACCESS_KEY: secret_access_key,
      AWS_REGION: 'us-east-1',
    },
  })
  const folder = await mkdtemp(join(tmpdir(), 'gatepost-bench-'))
  const context = await startProfile(folder, { baseURL: gatepost.origin, viewport: VIEWPORT })
  try {
    const authorization = `Bearer ${await gatepost.token('alice')}`
    assert.equal((await context.request.post('/api/session', { headers: { authorization } })).status(), 201)
    const views = []
    for (let number = 0; number < VIEWS; number += 1) {
      if (window === UNIQUE) await until(async () => (await nextAddress(context)) !== views.at(-1)?.address)
      counter.take()
      const seen = await view(context)
      views.push({ ...seen, origin: counter.take() })
    }
    if (window === UNIQUE) assert.equal(new Set(views.map(({ address }) => address)).size, VIEWS)
    return views
  } finally {
    await context.close()
    await rm(folder, { recursive: true, force: true })
    await gatepost.stop()
  }
}

/** The address of the first photo that the API would answer with now. */
async function nextAddress(context) {
  const { items } = await (await context.request.get('/api/media')).json()
  return items[0].renditions[0].url
}

/** Opens the page in a new tab, waits for all photos, and returns what was transferred for them. */
async function view(context) {
  const page = await context.newPage()
  const devtools = await context.newCDPSession(page)
  await devtools.send('Network.enable')
  const byId = new Map()
  // The events about one request arrive in any order.
  const about = (id, facts) => byId.set(id, { ...byId.get(id), ...facts })
  devtools.on('Network.requestWillBeSent', ({ requestId, request }) =>
    about(requestId, { path: new URL(request.url).pathname }),
  )
  devtools.on('Network.responseReceived', ({ requestId, hasExtraInfo }) => about(requestId, { isSent: hasExtraInfo }))
  // The status on the wire: a page sees a 304 as the answer from the cache.
  devtools.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode }) => about(requestId, { statusCode }))
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) =>
    about(requestId, { bytes: encodedDataLength }),
  )
  await page.goto('/')
  await page.waitForFunction(
    (photos) => document.querySelectorAll('.tile .picture[data-state="shown"]').length === photos,
    PHOTOS,
  )
  const requestsFor = (pattern) => [...byId.values()].filter(({ path }) => path !== undefined && pattern.test(path))
  const isDone = ({ isSent, statusCode, bytes }) => bytes !== undefined && (!isSent || statusCode !== undefined)
  await until(() => requestsFor(/^\/(?:media|api)\//).every(isDone))
  const address = await page.getByTestId('photo').first().locator('img').getAttribute('src')
  await page.close()
  const pictures = requestsFor(/^\/media\//)
  assert.equal(pictures.length, PHOTOS)
  return {
    address,
    pictures: sum(pictures),
    listings: sum(requestsFor(/^\/api\/media$/)),
    nWhole: pictures.filter(({ statusCode }) => statusCode === 200).length,
    nUnchanged: pictures.filter(({ statusCode }) => statusCode === 304).length,
    nCached: pictures.filter(({ isSent }) => !isSent).length,
  }
}

function sum(requests) {
  return requests.reduce((total, { bytes }) => total + bytes, 0)
}

function table(rows) {
  const lines = rows.map(({ name, views }) => {
    const [first, ...later] = views
    const of = (some, amount) => some.reduce((total, one) => total + amount(one), 0)
    const kinds = [
      [of(later, ({ nWhole }) => nWhole), 'whole'],
      [of(later, ({ nUnchanged }) => nUnchanged), 'unchanged (304)'],
      [of(later, ({ nCached }) => nCached), 'from its cache'],
    ]
    return [
      name,
      kilobytes(first.pictures),
      kilobytes(of(later, ({ pictures }) => pictures)),
      kinds
        .filter(([n]) => n > 0)
        .map(([n, kind]) => `${n} ${kind}`)
        .join(', '),
      kilobytes(of(views, ({ listings }) => listings)),
      kilobytes(first.origin.bytes),
      kilobytes(of(later, ({ origin }) => origin.bytes)),
    ]
  })
  const head = [
    'viewers are authorized by',
    'browser, first view',
    'browser, views 2 to 10',
    'pictures of views 2 to 10',
    'lists of photos, all views',
    'origin, first view',
    'origin, views 2 to 10',
  ]
  return [head, ['---', ...Array(head.length - 1).fill('---:')], ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

/** The conditions of the measurement, in a sentence. */
function setup(rows, version) {
  const mean = rows[0].views[0].pictures / PHOTOS
  const { width, height } = SIZE
  return (
    `${VIEWS} views of ${PHOTOS} photos (${width}×${height}, drawn; ${kilobytes(mean)} for each picture as shown), one ` +
    `after another in one profile of Chromium ${version}, against \`gatepost dev\`. KB is 1,000 bytes, headers included.`
  )
}

function kilobytes(bytes) {
  return `${new Intl.NumberFormat('en-GB').format(Math.round(bytes / 1000))} KB`
}
