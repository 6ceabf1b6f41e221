// Who is signed in. Owns the two facts the rest of the page needs: the person's name, and the moment
// at which the session turns out to be over. Called by `main` once at the start and by whoever meets
// a 401. The identity itself is an HttpOnly cookie: this module never sees a token.
//
// `/dev/sign-in` belongs to the local stack. To stand behind another identity provider, put its address
// in its place.

import { Fault, faultOf } from './fault'

const WHO = '/api/session'
const SIGN_IN = '/dev/sign-in'

export type Session = { sub: string }

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

/** Where to sign in and come back to the present page. */
export function signInUrl(): string {
  return `${SIGN_IN}?${new URLSearchParams({ return_to: location.pathname + location.search })}`
}

/** Watches for the end of a session and for its return, which may happen in another tab. */
export class SessionWatch {
  #over = false
  #checking = false

  constructor(
    private readonly session: Session,
    private readonly listener: { onOver(): void; onBack(): void; onSomeoneElse(): void },
  ) {
    document.addEventListener('visibilitychange', () => void this.#check())
    window.addEventListener('focus', () => void this.#check())
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

  async #check(): Promise<void> {
    if (!document.hidden) await this.#ask()
  }

  async #ask(): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    try {
      const now = await currentSession()
      if (now === null) return this.over()
      if (now.sub !== this.session.sub) return this.listener.onSomeoneElse()
      if (!this.#over) return
      this.#over = false
      this.listener.onBack()
    } catch {
      // Not reachable just now: the next look at the page asks again.
    } finally {
      this.#checking = false
    }
  }
}
