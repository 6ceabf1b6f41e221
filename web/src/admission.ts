// Checks a file before anything is sent: its type and its size, as the browser knows them. Called by `uploads` for each
// file. It never reads the bytes. The server decides on the real content, and never trusts this check.

import type { Settings } from './settings'
import { strings } from './strings'

/** The limits of this site. */
export type Limits = Pick<Settings, 'types' | 'max_bytes'>

/** The sentence that refuses the file, or `null` if it may be tried. */
export function refusalOf(file: { name: string; type: string; size: number }, limits: Limits): string | null {
  if (isHeic(file)) return strings.refusal.heic
  if (file.type === 'image/svg+xml') return strings.refusal.svg
  if (!limits.types.includes(file.type)) return strings.refusal.type(limits.types)
  if (file.size === 0) return strings.refusal.empty
  if (file.size > limits.max_bytes) return strings.refusal.size(file.size, limits.max_bytes)
  return null
}

/** Whether a system has put the file into the folder, and nobody has chosen it. */
export function isRubbish({ name }: { name: string }): boolean {
  return /^(\._.*|\.ds_store|\.localized|\.picasa\.ini|thumbs\.db|desktop\.ini)$/i.test(name)
}

/** Desktop browsers often do not know HEIC's type, so the name counts as well. */
function isHeic(file: { name: string; type: string }): boolean {
  return /^image\/hei[cf](-sequence)?$/.test(file.type) || (file.type === '' && /\.(heic|heif|hif)$/i.test(file.name))
}
