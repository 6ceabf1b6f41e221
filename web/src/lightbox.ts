// One large photo in a modal dialog; arrow keys, buttons and swipes go to its neighbours. Called by `gallery`, whose
// list it navigates and never changes. The browser's `<dialog>` keeps the focus inside and closes on Escape and on
// Android's back gesture.

import { element, icon } from './element'
import { bestRenditions, type Manifest, type Rendition, srcset } from './manifest'
import { Picture } from './picture'
import { strings } from './strings'

export type LightboxOptions = {
  photos: readonly Manifest[]
  /** Only few photos are left in this direction. */
  onNearEnd(): void
  /** With the id of the last photo. */
  onClosed(id: string): void
  onBroken(picture: Picture): void
  onCopyLink(photo: Manifest): Promise<void>
  /** Returns whether the photo was removed. */
  onRemove(photo: Manifest): Promise<boolean>
}

const NEAR_END = 3
const SWIPE_PX = 48

export class Lightbox {
  readonly element: HTMLDialogElement
  readonly #stage = element('div', { class: 'lightbox-stage' })
  readonly #caption = element('p', { class: 'lightbox-caption' })
  readonly #position = element('p', { class: 'lightbox-position', 'aria-live': 'polite' })
  readonly #newTab: HTMLAnchorElement
  readonly #previous: HTMLButtonElement
  readonly #next: HTMLButtonElement
  #id: string | undefined
  #picture: Picture | undefined

  constructor(private readonly options: LightboxOptions) {
    const close = iconButton('close', strings.lightbox.close, 'lightbox-close')
    // Otherwise the first button would have the focus, which is the one that deletes.
    close.autofocus = true
    this.#previous = iconButton('left', strings.lightbox.previous, 'lightbox-previous')
    this.#next = iconButton('right', strings.lightbox.next, 'lightbox-next')
    const copy = iconButton('copy', strings.lightbox.copyLink, 'lightbox-copy-link')
    const remove = iconButton('trash', strings.lightbox.remove, 'lightbox-remove')
    this.#newTab = element(
      'a',
      {
        class: 'icon-button',
        target: '_blank',
        rel: 'noopener',
        'aria-label': strings.lightbox.open,
        title: strings.lightbox.open,
      },
      icon('open'),
    )
    this.element = element(
      'dialog',
      { class: 'lightbox', 'aria-label': strings.lightbox.label, 'data-testid': 'lightbox' },
      element('div', { class: 'lightbox-top' }, this.#position, remove, copy, this.#newTab, close),
      this.#stage,
      element('div', { class: 'lightbox-bottom' }, this.#previous, this.#caption, this.#next),
    )

    close.addEventListener('click', () => this.element.close())
    copy.addEventListener('click', () => {
      const photo = this.options.photos[this.#index()]
      if (photo) void this.options.onCopyLink(photo)
    })
    remove.addEventListener('click', () => void this.#remove())
    this.#previous.addEventListener('click', () => this.#walk(-1))
    this.#next.addEventListener('click', () => this.#walk(1))
    this.#stage.addEventListener('click', (event) => {
      if (event.target === this.#stage) this.element.close()
    })
    this.element.addEventListener('keydown', (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return
      if (event.key === 'ArrowLeft') this.#walk(-1)
      if (event.key === 'ArrowRight') this.#walk(1)
    })
    this.element.addEventListener('close', () => {
      this.#stage.replaceChildren()
      this.#picture = undefined
      if (this.#id !== undefined) this.options.onClosed(this.#id)
    })
    this.#listenForSwipes()
  }

  open(id: string): void {
    if (!this.options.photos.some((photo) => photo.id === id)) return
    if (!this.element.open) this.element.showModal()
    this.#show(id)
  }

  /** Takes over new addresses of the photos. */
  update(): void {
    this.#picture?.update()
    const photo = this.options.photos[this.#index()]
    const largest = photo && largestOf(photo)
    if (largest) this.#newTab.href = largest.url
  }

  /** Moves to a neighbour of the removed photo, if there is one. */
  async #remove(): Promise<void> {
    const index = this.#index()
    const photo = this.options.photos[index]
    if (!photo || !confirm(strings.lightbox.removeForGood) || !(await this.options.onRemove(photo))) return
    // If the person has moved on meanwhile, the view stays there.
    if (this.#id !== photo.id) return
    const neighbour = this.options.photos[index] ?? this.options.photos[index - 1]
    if (neighbour) this.#show(neighbour.id)
    else this.element.close()
  }

  #walk(step: -1 | 1): void {
    const photo = this.options.photos[this.#index() + step]
    if (photo) this.#show(photo.id)
  }

  #show(id: string): void {
    this.#id = id
    const index = this.#index()
    const photo = this.options.photos[index]
    if (!photo) return
    const { source } = photo
    const largest = largestOf(photo)

    this.#picture = new Picture(photo, {
      alt: strings.gallery.photo(photo.created_at),
      sizes: SIZES(source),
      lazy: false,
      onBroken: this.options.onBroken,
    })
    const frame = this.#picture.element
    frame.style.setProperty('--ratio', String(source.width / source.height))
    frame.style.setProperty('--natural', `${largest?.width ?? source.width}px`)
    this.#stage.replaceChildren(frame)

    this.#caption.replaceChildren(
      element('span', {}, strings.lightbox.taken(photo.created_at)),
      element('span', {}, strings.lightbox.facts(source.width, source.height, source.bytes)),
    )
    this.#position.textContent = strings.announce.position(index, this.options.photos.length)
    if (largest) this.#newTab.href = largest.url
    // `aria-disabled` keeps the focus; a `disabled` button would lose it.
    this.#previous.setAttribute('aria-disabled', String(index === 0))
    this.#next.setAttribute('aria-disabled', String(index === this.options.photos.length - 1))

    this.#preload(this.options.photos[index + 1])
    this.#preload(this.options.photos[index - 1])
    if (index >= this.options.photos.length - NEAR_END) this.options.onNearEnd()
  }

  /** New photos may arrive at the front while the dialog is open. */
  #index(): number {
    return this.options.photos.findIndex((photo) => photo.id === this.#id)
  }

  #preload(photo: Manifest | undefined): void {
    if (!photo) return
    const image = new Image()
    image.sizes = SIZES(photo.source)
    image.srcset = srcset(bestRenditions(photo))
  }

  #listenForSwipes(): void {
    let start: PointerEvent | undefined
    this.#stage.addEventListener('pointerdown', (event) => {
      start = event.pointerType === 'mouse' || !event.isPrimary ? undefined : event
    })
    this.#stage.addEventListener('pointerup', (event) => {
      if (!start || start.pointerId !== event.pointerId) return
      const dx = event.clientX - start.clientX
      const dy = event.clientY - start.clientY
      start = undefined
      if (Math.abs(dx) > SWIPE_PX && Math.abs(dx) > 1.5 * Math.abs(dy)) this.#walk(dx < 0 ? 1 : -1)
    })
    this.#stage.addEventListener('pointercancel', () => (start = undefined))
  }
}

/** The display width of the photo: the window's width, or less if the height limits it. */
const SIZES = ({ width, height }: { width: number; height: number }) =>
  `min(100vw, calc((100vh - 8rem) * ${(width / height).toFixed(4)}))`

function largestOf(photo: Manifest): Rendition | undefined {
  return bestRenditions(photo).at(-1)
}

function iconButton(name: Parameters<typeof icon>[0], label: string, testId: string): HTMLButtonElement {
  return element(
    'button',
    { type: 'button', class: 'icon-button', 'aria-label': label, title: label, 'data-testid': testId },
    icon(name),
  )
}
