// The type of a file by its first bytes. Called by `uploads` before anything is sent. Browsers take a file's type from
// its name, and names are often wrong: Chrome and Instagram save WebP as `.jpg`. The server compares the declared type
// with the bytes, so a wrong name would have the photo refused. It decides nothing else.

/** The longest beginning that a type needs. */
const HEAD_BYTES = 32

/** The type that the file's bytes have, or else what the browser says. Throws if the file cannot be read. */
export async function contentTypeOf(file: Blob): Promise<string> {
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer())
  return typeIn(head) ?? file.type
}

function typeIn(head: Uint8Array): string | undefined {
  if (startsWith(head, [0xff, 0xd8, 0xff])) return 'image/jpeg'
  if (startsWith(head, [0x89, ...ascii('PNG\r\n'), 0x1a, 0x0a])) return 'image/png'
  if (startsWith(head, ascii('GIF8'))) return 'image/gif'
  if (startsWith(head, ascii('RIFF')) && startsWith(head.subarray(8), ascii('WEBP'))) return 'image/webp'
  // ISO media files name their kind after the length and the type of the first box.
  if (startsWith(head.subarray(4), ascii('ftyp'))) return BRANDS[String.fromCharCode(...head.subarray(8, 12))]
  return undefined
}

const BRANDS: Record<string, string> = {
  avif: 'image/avif',
  avis: 'image/avif',
  heic: 'image/heic',
  heix: 'image/heic',
  hevc: 'image/heic-sequence',
  hevx: 'image/heic-sequence',
  mif1: 'image/heif',
  msf1: 'image/heif-sequence',
}

function ascii(text: string): number[] {
  return [...text].map((character) => character.charCodeAt(0))
}

function startsWith(bytes: Uint8Array, beginning: readonly number[]): boolean {
  return beginning.every((byte, at) => bytes[at] === byte)
}
