// The page's steps and views, for the tests in this folder: add a photo, cancel an upload, wait for a status. Every
// function takes a page of Playwright. No function waits for a fixed time.

import { PATIENCE_MS, SECOND, until } from './gatepost.mjs'

/** The row of an upload in the list. */
export function row(page, filename) {
  return page.locator(`[data-testid="upload"][data-filename="${filename}"]`)
}

/** The test id of the focused element. */
export function focused(page) {
  return page.evaluate(() => document.activeElement?.getAttribute('data-testid'))
}

/** Makes the page check its session, until `isSo`. One focus is not enough: its check may share a request in progress. */
export async function focusUntil(page, isSo) {
  await until(async () => {
    await page.evaluate(() => window.dispatchEvent(new Event('focus')))
    return isSo()
  })
}

export async function waitForStatus(page, filename, status) {
  try {
    await page
      .locator(`[data-testid="upload"][data-filename="${filename}"][data-status="${status}"]`)
      .waitFor({ timeout: PATIENCE_MS })
  } catch (error) {
    const text = await row(page, filename)
      .innerText({ timeout: SECOND })
      .catch(() => 'no such row')
    throw new Error(`${filename} did not become ${status}; its row says: ${text}`, { cause: error })
  }
}

/** Adds a photo, and waits until it is in the gallery. */
export async function upload(page, photo) {
  await page.getByTestId('file-input').setInputFiles([photo])
  await waitForStatus(page, photo.name, 'ready')
}

/** Adds a photo, and returns the id of its upload once it has a form. */
export async function add(page, photo) {
  const form = page.waitForResponse(
    (response) => response.request().method() === 'POST' && new URL(response.url()).pathname === '/api/uploads',
  )
  await page.getByTestId('file-input').setInputFiles([photo])
  const { id } = await (await form).json()
  return id
}

/** Waits until a part of it is sent; the relay must hold it there. */
export async function waitUntilPartlySent(page, filename) {
  const bar = row(page, filename).getByRole('progressbar')
  await page.waitForFunction(
    (element) =>
      Number(element.getAttribute('aria-valuenow')) > 0 && Number(element.getAttribute('aria-valuenow')) < 100,
    await bar.elementHandle(),
  )
}

export async function cancel(page, filename) {
  await page.getByRole('button', { name: `Cancel ${filename}` }).click()
  await row(page, filename).waitFor({ state: 'detached' })
}

/** The paths of all deletions that the page requests from now on. */
export function deletionsOf(page) {
  const paths = []
  page.on('request', (request) => request.method() === 'DELETE' && paths.push(new URL(request.url()).pathname))
  return paths
}

/** The id at the end of a path. */
export function idIn(path) {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Whether an address is a request for an upload's status. */
export function isStatus(url) {
  return /^\/api\/uploads\/./.test(url.pathname)
}

/** The server's status of an upload, without the page. */
export async function statusOf(page, id) {
  return (await (await page.request.get(`/api/uploads/${id}`)).json()).status
}

/** Waits until it is decoded and has pixels. */
export async function waitForImage(locator) {
  await locator.waitFor({ timeout: PATIENCE_MS })
  const handle = await locator.elementHandle()
  // Chromium aborts decoding when the layout makes it choose another source.
  await locator.page().waitForFunction(
    (image) =>
      image.decode().then(
        () => image.naturalWidth > 0,
        () => false,
      ),
    handle,
  )
  // The fade from the placeholder.
  await locator.page().waitForFunction((image) => getComputedStyle(image).opacity === '1', handle)
}

/** The path of the widest rendition of the first photo, as the page has it. */
export function largestRendition(page) {
  return page
    .getByTestId('photo')
    .first()
    .locator('img')
    .evaluate((image) => image.getAttribute('src'))
}

/** A request as the page makes it, without the browser's own cache. */
export function look(page, path) {
  return page.evaluate(async (path) => {
    const response = await fetch(path, { cache: 'no-store', redirect: 'manual' })
    await response.arrayBuffer()
    return { status: response.status, cache: response.headers.get('x-cache') }
  }, path)
}
