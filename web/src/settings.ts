// The page's settings: `/settings.json`, generated from gatepost.toml. Fetched by `main` before anything is shown. It
// never contains a secret: it is public.

import { Fault, faultOf } from './fault'

/** OpenID Connect's code flow with PKCE, as a client without a secret. */
export type CodeFlow = {
  client_id: string
  authorize: string
  token: string
  /** The issuer that the provider's answers must name, if they name one; `null` if the configuration does not tell. */
  issuer: string | null
  scope: string
  uses: 'access_token' | 'id_token'
}

/** A page of the application; `{url}` in it becomes the return address. */
export type Login = { login: string }

export type Settings = {
  sign_in: CodeFlow | Login | null
  /** The accepted content types. */
  types: readonly string[]
  /** The largest photo, in bytes. */
  max_bytes: number
  /** For how many seconds a link may be asked for. */
  link_seconds: number
}

export async function fetchSettings(): Promise<Settings> {
  let response: Response
  try {
    response = await fetch('/settings.json', { cache: 'no-cache' })
  } catch {
    throw new Fault('unreachable')
  }
  if (!response.ok) throw await faultOf(response)
  return (await response.json()) as Settings
}
