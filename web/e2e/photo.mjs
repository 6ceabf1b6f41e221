// The photo that the tests upload: a JPEG named by GATEPOST_PHOTO, of a camera's size.

import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'

import { required } from './gatepost.mjs'

/** More than the buffers of all sockets on the path, so that an upload of it can be held midway. */
const LARGE_BYTES = 16 * 1000 * 1000

const path = required('GATEPOST_PHOTO')
export const photoName = basename(path)
export const photo = { name: photoName, mimeType: 'image/jpeg', buffer: await readFile(path) }
/** The same picture: data after a JPEG's end is ignored. */
export const largePhoto = { ...photo, buffer: Buffer.concat([photo.buffer], LARGE_BYTES) }

/** The same picture with other bytes, because the page makes one upload of files with the same content. */
export const copyOf = (name) => ({ ...photo, name, buffer: Buffer.concat([photo.buffer, Buffer.from(name)]) })
