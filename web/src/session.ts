// Who is signed in. Owns the two facts the rest of the page needs: the person's name, and the moment
// at which the session turns out to be over. Called by `main` once at the start and by whoever meets
// a 401. The session itself is an HttpOnly cookie. A token that somebody has just signed in with is held
// in memory, to renew the session with, and is nowhere else.

import { sha256Hex } from './digest'
import { Fault, faultOf } from './fault'

const WHO = '/api/session'
/** Opens the page so that it signs in at once; in another tab, too. */
export const SIGN_IN = '/?sign_in'
/** A session that a token prolongs by less than this is not renewed: the token itself ends. */
const WORTH_RENEWING_MS = 60_000
/** How soon it is tried again when nobody answers. */
const RETRY_MS = 30_000
/** The longest time that browsers count. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Who is signed in. A service's token may name nobody: then there is neither a person nor a folder. */
export type Session = { sub: string | null; owner: string | null }

/** Somebody with media of their own; `owner` is their folder. */
export type Person = { sub: string; owner: string }

export function isPerson(session: Session): session is Person {
  return session.sub !== null && session.owner !== null
}

/** What a session is renewed with, while the page is open, and how long it lasts until then. */
export type Renewal = { token: string; lastsMs: number }

/** Makes a session of a token of the identity provider's. */
export function startSession(token: string): Promise<Renewal> {
  return alone(() => makeSession(token))
}

/** One after the other in all tabs: no session comes back that was ended meanwhile, or that another one's replaced. */
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
  // By the server's clock: the one here may be wrong by more than a session lasts.
  const now = Date.parse(response.headers.get('date') ?? '') || Date.now()
  return { token, lastsMs: Date.parse(expires_at) - now }
}

/** The session, or `null` when nobody is signed in. Throws a `Fault` when that cannot be found out. */
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
  /** Tells the other tabs that they had better look. */
  readonly #tabs = new BroadcastChannel('gatepost-session')
  #over = false
  #asking: Promise<'goes on' | 'ended' | 'unknown'> | undefined

  constructor(
    private readonly session: Session,
    private readonly listener: { onOver(): void; onBack(): void; onSomeoneElse(): void },
    renewal?: Renewal,
  ) {
    if (renewal) this.#renewInTime(renewal)
    document.addEventListener('visibilitychange', () => void this.#check())
    window.addEventListener('focus', () => void this.#check())
    this.#tabs.addEventListener('message', () => void this.#ask())
    this.#tabs.postMessage('somebody is here')
  }

  /** Ends the session by `end`, when no renewal is under way that would bring it back. */
  async signOut(end: () => Promise<void>): Promise<void> {
    await alone(end)
    this.#tabs.postMessage('somebody has left')
  }

  /** Somebody met a 401. */
  over(): void {
    if (this.#over) return
    this.#over = true
    this.listener.onOver()
  }

  /** Something failed that may mean the end of the session, such as a picture that does not load. */
  suspect(): void {
    if (!this.#over) void this.#ask()
  }

  #renewInTime({ token, lastsMs }: Renewal): void {
    if (lastsMs < WORTH_RENEWING_MS) return
    setTimeout(() => void this.#renew(token), Math.min((lastsMs * 2) / 3, MAX_TIMER_MS))
  }

  async #renew(token: string): Promise<void> {
    try {
      const renewal = await alone(async () => {
        const state = await this.#look()
        if (state === 'unknown') throw new Fault('unreachable')
        // Whoever has signed out meanwhile, or in as somebody else, is not signed in again.
        return state === 'ended' ? null : makeSession(token)
      })
      if (renewal) this.#renewInTime(renewal)
    } catch (error) {
      // The token has ended: the session ends when it ends.
      if (error instanceof Fault && (error.kind === 'session-over' || error.kind === 'refused')) return
      setTimeout(() => void this.#renew(token), RETRY_MS)
    }
  }

  async #check(): Promise<void> {
    if (!document.hidden) await this.#ask()
  }

  /** Whether the session goes on. Whoever asks while somebody does gets the same answer. */
  #ask(): Promise<'goes on' | 'ended' | 'unknown'> {
    this.#asking ??= this.#look().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #look(): Promise<'goes on' | 'ended' | 'unknown'> {
    let now: Session | null
    try {
      now = await currentSession()
    } catch {
      // Not reachable just now: the next look at the page asks again.
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
