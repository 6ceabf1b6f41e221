// Waits for the outcome of an upload. Called by `uploads` once the bytes are in storage. Polls often at first, then
// less often, and seldom in a hidden tab. It has no timeout: every upload that has arrived gets an outcome, and the
// caller can abort with its signal.

import type { Api, UploadStatus } from './api'
import { mayPass } from './fault'

const FIRST_MS = 300
const GROWTH = 1.4
const MOST_MS = 5_000
const HIDDEN_MS = 10_000

/** Ready, rejected, failed or deleted. Throws only if the signal aborts the wait or the server refuses the request. */
export async function outcomeOf(
  api: Pick<Api, 'uploadStatus'>,
  id: string,
  signal: AbortSignal,
): Promise<Exclude<UploadStatus, { status: 'pending' }>> {
  for (let attempt = 0; ; attempt += 1) {
    await pause(delayBefore(attempt, isHidden()), signal)
    try {
      const answer = await api.uploadStatus(id, signal)
      if (answer.status !== 'pending') return answer
    } catch (error) {
      if (signal.aborted || !mayPass(error)) throw error
    }
  }
}

/** The pause in milliseconds before the given attempt, counted from 0. */
export function delayBefore(attempt: number, hidden: boolean): number {
  const delay = Math.min(MOST_MS, FIRST_MS * GROWTH ** attempt)
  return hidden ? Math.max(HIDDEN_MS, delay) : delay
}

function isHidden(): boolean {
  return typeof document !== 'undefined' && document.hidden
}

/** Resolves after the time, or as soon as the tab becomes visible again. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const wasHidden = isHidden()
    const finish = (settle: () => void) => () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      if (wasHidden) document.removeEventListener('visibilitychange', onDone)
      settle()
    }
    const onDone = finish(resolve)
    const onAbort = finish(() => reject(signal.reason))
    const timer = setTimeout(onDone, ms)
    signal.addEventListener('abort', onAbort, { once: true })
    if (wasHidden) document.addEventListener('visibilitychange', onDone)
  })
}
