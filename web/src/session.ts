// The session. Owns the two facts that the rest of the page needs: the person's name, and the moment at which the
// session is over. Called by `main` once at the start, and on every 401. The session itself is an HttpOnly cookie. The
// token from signing in is held only in memory, to renew the session.

import { sha256Hex } from './digest'
import { Fault, faultOf } from './fault'
import { lifetimeMs } from './lifetime'

const WHO = '/api/session'
/** Opens the page so that it signs in at once; also in another tab. */
export const SIGN_IN = '/?sign_in'
/** A session that a token would extend by less than this is not renewed: the token itself is about to expire. */
const WORTH_RENEWING_MS = 60_000
/** The pause before a retry if an answer is missing. */
const RETRY_MS = 30_000
/** The longest timer that browsers support. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** The signed-in identity. A service's token may have no subject: then it has neither a person nor a folder. */
export type Session = { sub: string | null; owner: string | null }

/** A person with media; `owner` is their folder. */
export type Person = { sub: string; owner: string }

export function isPerson(session: Session): session is Person {
  return session.sub !== null && session.owner !== null
}

/** The token that renews a session while the page is open, and the session's lifetime until then. */
export type Renewal = { token: string; lastsMs: number }

/** Makes a session from a token of the identity provider. */
export function startSession(token: string): Promise<Renewal> {
  return alone(() => makeSession(token))
}

/**
 * Serialises a call across all tabs. Otherwise a renewal could race with signing out, or with another user's session.
 */
function alone<Answer>(act: () => Promise<Answer>): Promise<Answer> {
  return navigator.locks.request('gatepost-session', act)
}

async function makeSession(token: string): Promise<Renewal> {
  let response: Response
  try {
    const headers = { authorization: `Bearer ${token}`, 'x-amz-content-sha256': await sha256Hex('') }
    response = await fetch(WHO, { method: 'POST', headers })
  } catch {
    throw new Fault('unreachable')
  }
  if (!response.ok) throw await faultOf(response)
  const { expires_at } = (await response.json()) as { expires_at: string }
  return { token, lastsMs: lifetimeMs(expires_at, response) }
}

/** The session, or `null` if nobody is signed in. Throws a `Fault` if that cannot be determined. */
export async function currentSession(): Promise<Session | null> {
  let response: Response
  try {
    response = await fetch(WHO, { cache: 'no-store' })
  } catch {
    throw new Fault('unreachable')
  }
  if (response.status === 401) return null
  if (!response.ok) throw await faultOf(response)
  return (await response.json()) as Session
}

/** Watches for the end of a session and for its return, which may happen in another tab. */
export class SessionWatch {
  /** Asks the other tabs to check the session. */
  readonly #tabs = new BroadcastChannel('gatepost-session')
  #over = false
  /** The token from signing in, until the server refuses it. */
  #token: string | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #asking: Promise<'goes on' | 'ended' | 'unknown'> | undefined

  constructor(
    private readonly session: Session,
    private readonly listener: { onOver(): void; onBack(): void; onRenewed(): void; onSomeoneElse(): void },
    renewal?: Renewal,
  ) {
    if (renewal) this.#renewInTime(renewal)
    document.addEventListener('visibilitychange', () => void this.#check())
    window.addEventListener('focus', () => void this.#check())
    this.#tabs.addEventListener('message', () => void this.#ask())
    this.#tabs.postMessage('somebody is here')
  }

  /** Ends the session with `end`, while no renewal is in progress that would bring it back. */
  async signOut(end: () => Promise<void>): Promise<void> {
    await alone(end)
    this.#tabs.postMessage('somebody has left')
  }

  /** A request was answered with 401. */
  over(): void {
    if (this.#over) return
    this.#over = true
    this.listener.onOver()
  }

  /** A failure that may mean the end of the session, such as a picture that does not load. Returns whether it goes on. */
  async suspect(): Promise<boolean> {
    return !this.#over && (await this.#ask()) === 'goes on'
  }

  /** Renews the session with all of its cookies, if this page has a token. It is retried while answers are missing. */
  async renew(): Promise<void> {
    const token = this.#token
    if (token === undefined) return
    try {
      const renewal = await alone(async () => {
        const state = await this.#look()
        if (state === 'unknown') throw new Fault('unreachable')
        // A person who signed out meanwhile, or signed in as somebody else, is not signed in again.
        return state === 'ended' ? null : makeSession(token)
      })
      if (renewal === null) return
      this.#renewInTime(renewal)
      this.listener.onRenewed()
    } catch (error) {
      // The token has expired: the session ends when it expires.
      if (error instanceof Fault && (error.kind === 'session-over' || error.kind === 'refused')) this.#token = undefined
      else this.#renewAfter(RETRY_MS)
    }
  }

  #renewInTime({ token, lastsMs }: Renewal): void {
    this.#token = token
    clearTimeout(this.#timer)
    if (lastsMs >= WORTH_RENEWING_MS) this.#renewAfter((lastsMs * 2) / 3)
  }

  #renewAfter(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => void this.renew(), Math.min(ms, MAX_TIMER_MS))
  }

  async #check(): Promise<void> {
    if (!document.hidden) await this.#ask()
  }

  /** Whether the session is still valid. Concurrent callers share one request (single-flight). */
  #ask(): Promise<'goes on' | 'ended' | 'unknown'> {
    this.#asking ??= this.#look().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #look(): Promise<'goes on' | 'ended' | 'unknown'> {
    let now: Session | null
    try {
      now = await currentSession()
    } catch {
      // Unreachable at the moment: the next focus of the page checks again.
      return 'unknown'
    }
    if (now === null) {
      this.over()
      return 'ended'
    }
    if (now.owner !== this.session.owner) {
      this.listener.onSomeoneElse()
      return 'ended'
    }
    if (this.#over) {
      this.#over = false
      this.listener.onBack()
    }
    return 'goes on'
  }
}
