// Signing in at an identity provider: OpenID Connect's code flow with PKCE (RFC 7636), and the state that binds an
// answer to this browser (against login CSRF; RFC 6749, section 10.12). Called by `main`: `begin` leaves the page,
// `complete` handles the provider's answer. It never stores or shows a token: the caller exchanges it for a session at
// once. oauth4webapi makes the secrets, sends the request and checks both answers.
//
// An answer that names its issuer (RFC 9207) must name the one of the settings, if they contain one. A nonce is not
// sent, because PKCE already binds the code to this browser (RFC 9700, section 2.1.1).

import {
  AuthorizationResponseError,
  type AuthorizationServer,
  allowInsecureRequests,
  authorizationCodeGrantRequest,
  type Client,
  calculatePKCECodeChallenge,
  customFetch,
  generateRandomCodeVerifier,
  generateRandomState,
  None,
  OperationProcessingError,
  processAuthorizationCodeResponse,
  ResponseBodyError,
  UnsupportedOperationError,
  validateAuthResponse,
  WWWAuthenticateChallengeError,
} from 'oauth4webapi'

import { returnPath } from './return-path'
import type { CodeFlow } from './settings'

/** The data that is stored in this tab while the person is at the provider's page. */
type Departure = { state: string; verifier: string; returnTo: string }

const DEPARTURE = 'gatepost.sign-in'

/** The result: a token, or a reason from the provider or from here. */
export type Arrival = { token: string; returnTo: string } | { failed: string }

/** The address to navigate to. Afterwards `complete` is called in the same tab. */
export async function begin(flow: CodeFlow, returnTo: string | null): Promise<string> {
  const departure: Departure = {
    state: generateRandomState(),
    verifier: generateRandomCodeVerifier(),
    returnTo: returnPath(returnTo),
  }
  sessionStorage.setItem(DEPARTURE, JSON.stringify(departure))
  const address = new URL(flow.authorize, location.origin)
  const parameters = {
    response_type: 'code',
    client_id: flow.client_id,
    redirect_uri: redirectUri(),
    scope: flow.scope,
    state: departure.state,
    code_challenge: await calculatePKCECodeChallenge(departure.verifier),
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
  if (departure === null) return { failed: 'state' }
  const client = { client_id: flow.client_id }
  const server: AuthorizationServer = {
    issuer: flow.issuer ?? (query.get('iss') || 'the only provider'),
    token_endpoint: new URL(flow.token, location.origin).href,
  }
  let answer: URLSearchParams
  try {
    answer = validateAuthResponse(server, client, query, departure.state)
  } catch (error) {
    if (error instanceof AuthorizationResponseError) return { failed: error.error }
    // A token in the address belongs to another flow, which PKCE does not protect.
    if (error instanceof UnsupportedOperationError) return { failed: 'response_type' }
    return { failed: isFromAnother(flow, query) ? 'iss' : 'state' }
  }

  try {
    const response = await authorizationCodeGrantRequest(
      server,
      client,
      None(),
      answer,
      redirectUri(),
      departure.verifier,
      {
        // An HTTPS page sends a code over HTTPS only; the local stack has no TLS.
        [allowInsecureRequests]: location.protocol === 'http:',
        [customFetch]: (address, request) => fetch(address, { ...request, credentials: 'omit' }),
      },
    )
    const token = await tokenIn(response, flow.uses, server, client)
    return token === null ? { failed: flow.uses } : { token, returnTo: departure.returnTo }
  } catch (error) {
    return { failed: reasonOf(error) }
  }
}

/**
 * The token that is used, or `null` if a successful answer lacks it. The library sees this token and its type alone.
 * Providers send the other members in ways that it refuses: a null as a scope or a lifetime, or no access token beside an
 * ID token (Azure AD B2C). It would check an ID token by the clock of this machine. The API verifies the token that is
 * used: its signature, issuer, audience and times.
 */
async function tokenIn(
  response: Response,
  uses: CodeFlow['uses'],
  server: AuthorizationServer,
  client: Client,
): Promise<string | null> {
  let token: unknown
  let answer = response
  if (response.ok) {
    const members = Object(await response.json()) as Record<string, unknown>
    token = members[uses]
    if (typeof token !== 'string' || token === '') return null
    answer = new Response(JSON.stringify({ access_token: token, token_type: members.token_type }), response)
  }
  await processAuthorizationCodeResponse(server, client, answer)
  return token as string
}

/** Whether the answer names another issuer than the settings: a mix-up of providers (RFC 9207, section 1). */
function isFromAnother(flow: CodeFlow, query: URLSearchParams): boolean {
  return flow.issuer !== null && query.getAll('iss').some((issuer) => issuer !== flow.issuer)
}

/** The reason why a token is missing: the provider's error code, the status of its answer, or a word. */
function reasonOf(error: unknown): string {
  if (error instanceof ResponseBodyError) return error.error
  if (error instanceof WWWAuthenticateChallengeError) return String(error.status)
  if (error instanceof OperationProcessingError && error.cause instanceof Response) {
    return error.cause.type === 'opaqueredirect' ? 'redirect' : String(error.cause.status)
  }
  if (error instanceof OperationProcessingError || error instanceof UnsupportedOperationError) return 'invalid_response'
  return 'unreachable'
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
