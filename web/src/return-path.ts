// The path to return to after signing in: on this origin only. Called with the value from the page's query. It never
// allows another origin (open redirect: `//host`, `/\host` and control characters that browsers drop before they
// parse), or a fragment, which would have no effect.

/** The path with its query if it is on this origin, otherwise `/`. */
export function returnPath(wanted: string | null): string {
  if (wanted === null || !/^\/(?![/\\])[\x21\x22\x24-\x5b\x5d-\x7e]*$/.test(wanted)) return '/'
  return wanted
}
