// Where to go after signing in: a path on this origin and nothing else. Called with what stood in the
// page's query. It never lets through another origin (open redirect: `//host`, `/\host` and control
// characters that browsers drop before they parse), and no fragment, which would open nothing.

/** The path with its query if it is one of ours, otherwise `/`. */
export function returnPath(wanted: string | null): string {
  if (wanted === null || !/^\/(?![/\\])[\x21\x22\x24-\x5b\x5d-\x7e]*$/.test(wanted)) return '/'
  return wanted
}
