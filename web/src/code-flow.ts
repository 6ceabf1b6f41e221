// Signing in at an identity provider: OpenID Connect's code flow with PKCE (RFC 7636), and the state that binds an
// answer to this browser (against login CSRF; RFC 6749, section 10.12). Called by `main`: `begin` leaves the page,
// `complete` handles the provider's answer. It never stores or shows a token: the caller exchanges it for a session at
// once.

import { returnPath } from './return-path'
import type { CodeFlow } from './settings'

/** The data that is stored in this tab while the person is at the provider's page. */
type Departure = { state: string; verifier: string; returnTo: string }

const DEPARTURE = 'gatepost.sign-in'

/** The result: a token, or a reason from the provider or from here. */
export type Arrival = { token: string; returnTo: string } | { failed: string }

/** The address to navigate to. Afterwards `complete` is called in the same tab. */
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

/** Whether the page was opened by a provider's redirect. */
export function isArrival(query: URLSearchParams): boolean {
  return query.has('state') && (query.has('code') || query.has('error'))
}

/** Exchanges the code from the page's address. In any case the code and its verifier are used up. */
export async function complete(flow: CodeFlow, query: URLSearchParams): Promise<Arrival> {
  const departure = takeDeparture()
  // An answer to another browser's request: a link that would sign this person in as somebody else (login CSRF).
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

/** The redirect URI to register at the provider. */
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
