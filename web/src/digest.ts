// SHA-256 as lower-case hexadecimal. Called for every file (the form then permits exactly those
// bytes) and for every request body (function URLs behind CloudFront's origin access control need
// `x-amz-content-sha256`). It never keeps the bytes.

export async function sha256Hex(data: Blob | string): Promise<string> {
  const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : await data.arrayBuffer()
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
