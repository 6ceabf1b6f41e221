// One picture on the page: its placeholder from the thumbhash until the image is loaded, then the image. Made by gallery
// and lightbox. It never decides which picture is shown, how large its box is, or what follows a failure.

import { thumbHashToDataURL } from 'thumbhash'

import { element } from './element'
import { bestRenditions, type Manifest, srcset } from './manifest'

export type PictureOptions = {
  alt: string
  sizes: string
  lazy: boolean
  onBroken(picture: Picture): void
}

export class Picture {
  /** A frame that contains the image; `data-state` is `loading`, `shown` or `broken`. */
  readonly element: HTMLElement
  readonly #image: HTMLImageElement
  #requestedAt = 0

  constructor(
    private readonly manifest: Manifest,
    { alt, sizes, lazy, onBroken }: PictureOptions,
  ) {
    this.#image = element('img', {
      alt,
      // Set before the addresses; otherwise loading would start at once.
      loading: lazy ? 'lazy' : undefined,
      decoding: 'async',
      draggable: 'false',
      width: manifest.source.width,
      height: manifest.source.height,
      sizes,
    })
    this.element = element('span', { class: 'picture' }, this.#image)
    const placeholder = placeholderUrl(manifest.placeholder)
    if (placeholder) this.element.style.backgroundImage = `url("${placeholder}")`
    this.#image.addEventListener('load', () => {
      this.element.dataset.state = 'shown'
    })
    this.#image.addEventListener('error', () => {
      this.element.dataset.state = 'broken'
      onBroken(this)
    })
    this.#request()
  }

  /** The time of the latest request, in milliseconds of `performance.now()`; a lazy image is requested later. */
  get requestedAt(): number {
    return this.#requestedAt
  }

  /** The address that was chosen for this screen. */
  get address(): string {
    return this.#image.currentSrc
  }

  /** Takes over new addresses of the manifest, unless the image is shown already or has failed. */
  update(): void {
    if (this.element.dataset.state === 'loading') this.#request()
  }

  /** Loads a broken image again; one that has left the page meanwhile is ignored. */
  reload(): void {
    if (this.element.dataset.state === 'broken' && this.element.isConnected) this.#request()
  }

  #request(): void {
    const renditions = bestRenditions(this.manifest)
    this.element.dataset.state = 'loading'
    this.#requestedAt = performance.now()
    // Setting the same addresses again loads the image again.
    this.#image.srcset = srcset(renditions)
    const largest = renditions.at(-1)
    if (largest) this.#image.src = largest.url
  }
}

function placeholderUrl(placeholder: string | undefined): string | undefined {
  if (!placeholder) return undefined
  try {
    return thumbHashToDataURL(Uint8Array.from(atob(placeholder), (character) => character.charCodeAt(0)))
  } catch {
    return undefined // a plain tile will do
  }
}
