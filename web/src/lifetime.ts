// How long something that the server has made is still valid. Called by `session` and `api`. It never keeps a time.

/**
 * The milliseconds until an RFC 3339 time, by the clock of the server that has sent it: the local one may be wrong by more
 * than a session lasts.
 */
export function lifetimeMs(expiresAt: string, response: Response): number {
  const now = Date.parse(response.headers.get('date') ?? '') || Date.now()
  return Date.parse(expiresAt) - now
}
