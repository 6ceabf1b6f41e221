// One picture on the page: its placeholder from the thumbhash until the image is loaded, then the image. Called by
// gallery and lightbox. It never decides which picture is shown, or how large its box is.

import { thumbHashToDataURL } from 'thumbhash'

import { element } from './element'
import { bestRenditions, type Manifest, srcset } from './manifest'

export type PictureOptions = { alt: string; sizes: string; lazy: boolean; onBroken?: () => void }

/** A frame that contains the image; `data-state` is `loading`, `shown` or `broken`. */
export function picture(manifest: Manifest, { alt, sizes, lazy, onBroken }: PictureOptions): HTMLElement {
  const renditions = bestRenditions(manifest)
  const image = element('img', {
    alt,
    // Set before the addresses; otherwise loading would start at once.
    loading: lazy ? 'lazy' : undefined,
    decoding: 'async',
    draggable: 'false',
    width: manifest.source.width,
    height: manifest.source.height,
    sizes,
    srcset: srcset(renditions),
    src: renditions.at(-1)?.path,
  })
  const frame = element('span', { class: 'picture', 'data-state': 'loading' }, image)
  const placeholder = placeholderUrl(manifest.placeholder)
  if (placeholder) frame.style.backgroundImage = `url("${placeholder}")`

  image.addEventListener('load', () => {
    frame.dataset.state = 'shown'
  })
  image.addEventListener('error', () => {
    frame.dataset.state = 'broken'
    onBroken?.()
  })
  return frame
}

/** Reloads a broken image, after a session came back. */
export function reload(frame: Element): void {
  const image = frame.querySelector('img')
  if (!image || frame.getAttribute('data-state') !== 'broken') return
  frame.setAttribute('data-state', 'loading')
  const { srcset } = image
  image.srcset = ''
  image.srcset = srcset
}

function placeholderUrl(placeholder: string | undefined): string | undefined {
  if (!placeholder) return undefined
  try {
    return thumbHashToDataURL(Uint8Array.from(atob(placeholder), (character) => character.charCodeAt(0)))
  } catch {
    return undefined // a plain tile will do
  }
}
