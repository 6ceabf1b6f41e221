// The expiry of signed URLs: while the page is open, its pictures get new ones in time. Told by `api` about every answer
// with signed URLs; `main` passes in how they are replaced. Without such answers it does nothing. It never signs.

import { Fault } from './fault'

/** How long before their expiry URLs are replaced. Those that are valid for less than twice as long, halfway. */
const MARGIN_MS = 60_000
/** The shortest pause between two renewals. */
const PAUSE_MS = 10_000
/** The pause before a retry if an answer is missing. */
const RETRY_MS = 30_000
/** The longest timer that browsers support. */
const MAX_TIMER_MS = 2 ** 31 - 1

export class SignedUrls {
  /** When the first of them expires, by the local clock. */
  #expireAt = Number.POSITIVE_INFINITY
  #dueAt = Number.POSITIVE_INFINITY
  #timer: ReturnType<typeof setTimeout> | undefined
  #renewing: Promise<void> | undefined

  constructor(private readonly replaceAll: () => Promise<void>) {
    // A hidden page waits until somebody looks at it.
    document.addEventListener('visibilitychange', () => this.check())
  }

  /** Whether pictures are loaded with signed URLs. */
  get areUsed(): boolean {
    return this.#expireAt < Number.POSITIVE_INFINITY
  }

  /** URLs have arrived that are valid for this long. */
  received(lastMs: number): void {
    const now = Date.now()
    this.#expireAt = Math.min(this.#expireAt, now + lastMs)
    const left = this.#expireAt - now
    this.#wait(Math.max(left - MARGIN_MS, left / 2, PAUSE_MS))
  }

  /** Renews them if it is time to, and somebody looks at the page. */
  check(): void {
    if (!document.hidden && Date.now() >= this.#dueAt) void this.renew()
  }

  /** Renews all of them. Concurrent callers share one renewal (single-flight). */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined))
    return this.#renewing
  }

  async #renew(): Promise<void> {
    const before = this.#expireAt
    this.#expireAt = Number.POSITIVE_INFINITY
    try {
      await this.replaceAll()
    } catch (error) {
      this.#expireAt = Math.min(this.#expireAt, before)
      // Without a session the next check is the one after signing in again.
      if (error instanceof Fault && error.kind === 'session-over') this.#dueAt = Date.now()
      else this.#wait(RETRY_MS)
    }
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer)
    this.#dueAt = Date.now() + ms
    this.#timer = setTimeout(() => this.check(), Math.min(ms, MAX_TIMER_MS))
  }
}
