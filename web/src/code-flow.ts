// Signing in at an identity provider: OpenID Connect's code flow with PKCE (RFC 7636), and the state
// that ties an answer to who asked (RFC 6749, section 10.12). Called by `main`: `begin` leaves the page,
// `complete` takes up what the provider sent it back with. It never keeps a token and never shows one
// to anybody: the caller trades it for a session at once.

import { returnPath } from './return-path'
import type { CodeFlow } from './settings'

/** What is remembered in this tab while the person is at the provider's. */
type Departure = { state: string; verifier: string; returnTo: string }

const DEPARTURE = 'gatepost.sign-in'

/** What came of it: a token, or a reason in the provider's words or ours. */
export type Arrival = { token: string; returnTo: string } | { failed: string }

/** The address to go to, after which `complete` is called in the same tab. */
export async function begin(flow: CodeFlow, returnTo: string | null): Promise<string> {
  const departure: Departure = { state: random(), verifier: random(), returnTo: returnPath(returnTo) }
  sessionStorage.setItem(DEPARTURE, JSON.stringify(departure))
  const address = new URL(flow.authorize, location.origin)
  const parameters = {
    response_type: 'code',
    client_id: flow.client_id,
    redirect_uri: redirectUri(),
    scope: flow.scope,
    state: departure.state,
    code_challenge: await challengeOf(departure.verifier),
    code_challenge_method: 'S256',
  }
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
  return address.href
}

/** Whether the page was opened by a provider that sends somebody back. */
export function isArrival(query: URLSearchParams): boolean {
  return query.has('state') && (query.has('code') || query.has('error'))
}

/** Trades the code that the page was opened with. Whatever comes of it, the code and its verifier are used up. */
export async function complete(flow: CodeFlow, query: URLSearchParams): Promise<Arrival> {
  const departure = takeDeparture()
  // Somebody else's answer: a link that would sign this person in as another one.
  if (departure === null || query.get('state') !== departure.state) return { failed: 'state' }
  const code = query.get('code')
  if (code === null) return { failed: query.get('error') ?? 'code' }

  let answer: Record<string, unknown>
  try {
    const response = await fetch(new URL(flow.token, location.origin), {
      method: 'POST',
      credentials: 'omit',
      headers: { accept: 'application/json' },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: flow.client_id,
        redirect_uri: redirectUri(),
        code,
        code_verifier: departure.verifier,
      }),
    })
    answer = (await response.json()) as Record<string, unknown>
    if (!response.ok) return { failed: typeof answer['error'] === 'string' ? answer['error'] : String(response.status) }
  } catch {
    return { failed: 'unreachable' }
  }
  const token = answer[flow.uses]
  return typeof token === 'string' && token !== '' ? { token, returnTo: departure.returnTo } : { failed: flow.uses }
}

function takeDeparture(): Departure | null {
  const kept = sessionStorage.getItem(DEPARTURE)
  sessionStorage.removeItem(DEPARTURE)
  return kept === null ? null : (JSON.parse(kept) as Departure)
}

/** The one address that the provider has to know. */
function redirectUri(): string {
  return `${location.origin}/`
}

export async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))))
}

/** 256 bits, in 43 characters. */
function random(): string {
  return base64url(crypto.getRandomValues(new Uint8Array(32)))
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
