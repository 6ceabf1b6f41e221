// When an interrupted upload is tried again: after a pause that grows, and at once when the browser is online again.
// Called by `uploads`. It never sends anything.

import { Fault } from './fault'

const FIRST_MS = 1_000
const MOST_MS = 60_000
/** Together they wait for about six minutes, not counting the time without a network. */
export const MOST_RETRIES = 10

/** Whether the upload was interrupted: nobody has refused it, and the same again may succeed. */
export function isInterruption(error: unknown): boolean {
  if (!(error instanceof Fault)) return false
  const { kind, details } = error
  if (kind === 'unreachable') return true
  const { status = 0, code } = details
  const isBusy = status >= 500 || status === 429
  if (kind === 'storage') return isBusy || code === 'RequestTimeout'
  // An answer with a good status was truncated.
  return kind === 'unexpected' && (isBusy || status < 300)
}

/** Whether S3 refused the form: it has expired, for example while the machine slept, or it never permitted the file. */
export function isDenied(error: unknown): boolean {
  return error instanceof Fault && error.kind === 'storage' && error.details.status === 403
}

/** The longest pause in milliseconds before a retry, counted from 0. */
export function pauseBefore(retry: number): number {
  return Math.min(MOST_MS, FIRST_MS * 2 ** retry)
}

/**
 * Waits before a retry, counted from 0, and while the browser has no network. A random part of the pause keeps the
 * uploads of many pages apart. Rejects if the signal aborts it.
 */
export async function untilRetry(retry: number, signal: AbortSignal, random = Math.random): Promise<void> {
  await eventOrPause(isOffline() ? Number.POSITIVE_INFINITY : pauseBefore(retry) * (0.5 + random() / 2), signal)
}

/** Resolves after the time, or as soon as the browser is online again. */
function eventOrPause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const ended = new AbortController()
    const timer = Number.isFinite(ms) ? setTimeout(() => finish(resolve), ms) : undefined
    const finish = (settle: () => void) => {
      clearTimeout(timer)
      ended.abort()
      settle()
    }
    window.addEventListener('online', () => finish(resolve), { signal: ended.signal })
    signal.addEventListener('abort', () => finish(() => reject(signal.reason)), { signal: ended.signal })
  })
}

export function isOffline(): boolean {
  return navigator.onLine === false
}
