// The user's own photos, newest first, in pages. Owns the list that the lightbox navigates. Called by `main`; new
// photos are added through `prepend`. It never fetches a picture itself, and an error never empties it.

import type { Announcer } from './announcer'
import type { Api } from './api'
import { element, icon } from './element'
import { sentenceFor } from './fault'
import { Lightbox } from './lightbox'
import { bestRenditions, type Manifest, tileRatio } from './manifest'
import { Picture } from './picture'
import { strings } from './strings'

/** How many pages without a photo are passed over before a person is asked whether to go on. */
const MAX_EMPTY_PAGES = 10

export class Gallery {
  readonly element: HTMLElement
  readonly #lightbox: Lightbox
  readonly #photos: Manifest[] = []
  readonly #tiles = new Map<string, Tile>()
  readonly #list = element('ul', { class: 'tiles', role: 'list' })
  readonly #empty: HTMLElement
  readonly #fault = element('p', { class: 'gallery-fault', role: 'alert', hidden: true })
  readonly #more = element(
    'button',
    { type: 'button', class: 'button', 'data-testid': 'load-more', hidden: true },
    strings.gallery.more,
  )
  /** Loads more when the end of the list is near. */
  readonly #end = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting) && this.#fault.hidden) void this.#loadMore()
    },
    { rootMargin: '600px' },
  )
  #cursor: string | undefined
  /** How many pages the photos came in. */
  #nPages = 0
  #loading = false
  #begun = false

  constructor(
    private readonly api: Api,
    private readonly announcer: Announcer,
    private readonly linkSeconds: number,
    private readonly onBroken: (picture: Picture) => void,
    private readonly onDeleted: (id: string) => void,
  ) {
    this.#lightbox = new Lightbox({
      photos: this.#photos,
      onNearEnd: () => void this.#loadMore(),
      onClosed: (id) => this.#tiles.get(id)?.open.focus(),
      onBroken,
      onCopyLink: (photo) => this.#copyLink(photo),
      onRemove: (photo) => this.#remove(photo),
    })
    this.#empty = element(
      'div',
      { class: 'gallery-empty', 'data-testid': 'gallery-empty', hidden: true },
      icon('image'),
      element('p', { class: 'gallery-empty-title' }, strings.gallery.emptyTitle),
      element('p', {}, strings.gallery.emptyText),
    )
    this.element = element(
      'section',
      { class: 'gallery', 'aria-labelledby': 'gallery-title', 'data-testid': 'gallery' },
      element('div', { class: 'section-head' }, element('h2', { id: 'gallery-title' }, strings.gallery.title)),
      this.#list,
      this.#empty,
      this.#fault,
      element('div', { class: 'gallery-more' }, this.#more),
      this.#lightbox.element,
    )
    this.#more.addEventListener('click', () => void this.#loadMore({ asked: true }))
  }

  /** The first page; after a failure, the next one. */
  async load(): Promise<void> {
    if (!this.#begun) this.#showSkeleton()
    await this.#loadMore()
  }

  prepend(manifest: Manifest): void {
    if (this.#tiles.has(manifest.id)) return
    this.#photos.unshift(manifest)
    this.#list.prepend(this.#tileOf(manifest).item)
    this.#showEmptiness()
  }

  /** Removes a photo that does not exist any more. */
  forget(id: string): void {
    const index = this.#photos.findIndex((photo) => photo.id === id)
    if (index >= 0) this.#photos.splice(index, 1)
    this.#tiles.get(id)?.item.remove()
    this.#tiles.delete(id)
    this.#showEmptiness()
  }

  open(id: string): void {
    this.#lightbox.open(id)
  }

  /** After the session is back: loads the page that failed to load. */
  recover(): void {
    if (!this.#fault.hidden) void this.#loadMore()
  }

  /** Gives all photos new addresses, because signed URLs expire. Images that are shown already stay as they are. */
  async renewUrls(): Promise<void> {
    const photos = new Map(this.#photos.map((photo) => [photo.id, photo]))
    let cursor: string | undefined
    // One page more than before: photos of other tabs may have moved the last ones there.
    for (let nPages = 0; nPages <= this.#nPages; nPages += 1) {
      const page = await this.api.listMedia(cursor)
      for (const { id, renditions } of page.items) {
        const photo = photos.get(id)
        if (photo) photo.renditions = renditions
      }
      cursor = page.cursor
      if (cursor === undefined) break
    }
    for (const { picture } of this.#tiles.values()) picture.update()
    this.#lightbox.update()
  }

  /** To the largest rendition, for as long as it may be. */
  async #copyLink(photo: Manifest): Promise<void> {
    const largest = bestRenditions(photo).at(-1)
    if (!largest) return
    const made = this.api.createLink(largest.path, this.linkSeconds)
    const text = made.then(({ url }) => new URL(url, location.href).href)
    const copied = copy(text)
    try {
      const link = await made
      const isCopied = await copied
      if (!isCopied) prompt(strings.lightbox.notCopied, await text)
      else this.announcer.tell(strings.lightbox.copied(link.expires_at))
    } catch (error) {
      this.announcer.tell(sentenceFor(error))
    }
  }

  async #remove({ id }: Manifest): Promise<boolean> {
    try {
      await this.api.deleteMedia(id)
    } catch (error) {
      this.announcer.tell(sentenceFor(error))
      return false
    }
    this.forget(id)
    this.onDeleted(id)
    this.announcer.tell(strings.lightbox.removed)
    return true
  }

  async #loadMore({ asked = false } = {}): Promise<void> {
    if (this.#loading || (this.#begun && this.#cursor === undefined)) return
    this.#loading = true
    this.#fault.hidden = true
    this.#list.setAttribute('aria-busy', 'true')
    this.#more.disabled = true
    this.#more.textContent = strings.gallery.loading
    this.#end.disconnect()
    try {
      const added = await this.#loadUntilSomething()
      // An observer reports only changes. A new observation also reports an end that is still near.
      if (added.length > 0) this.#end.observe(this.#more)
      if (asked) {
        this.announcer.say(strings.announce.loaded(added.length))
        added[0]?.open.focus({ preventScroll: true })
      }
    } catch (error) {
      this.#fault.replaceChildren(strings.gallery.failed, ' ', sentenceFor(error))
      this.#fault.hidden = false
    } finally {
      this.#loading = false
      this.#list.removeAttribute('aria-busy')
      for (const skeleton of this.#list.querySelectorAll('.skeleton')) skeleton.remove()
      this.#more.disabled = false
      this.#more.textContent = this.#fault.hidden ? strings.gallery.more : strings.gallery.retry
      this.#more.hidden = this.#fault.hidden && this.#cursor === undefined
      this.#showEmptiness()
    }
  }

  /**
   * Loads pages until one has a photo. An empty page need not be the last: deleted and rejected uploads are not listed.
   */
  async #loadUntilSomething(): Promise<Tile[]> {
    for (let nEmpty = 0; nEmpty < MAX_EMPTY_PAGES; nEmpty += 1) {
      const page = await this.api.listMedia(this.#cursor)
      this.#begun = true
      this.#nPages += 1
      this.#cursor = page.cursor
      // Uploads that finished meanwhile are already at the top.
      const added = page.items.filter(({ id }) => !this.#tiles.has(id))
      this.#photos.push(...added)
      const tiles = added.map((manifest) => this.#tileOf(manifest))
      this.#list.append(...tiles.map(({ item }) => item))
      if (tiles.length > 0 || page.cursor === undefined) return tiles
    }
    return []
  }

  #tileOf(manifest: Manifest): Tile {
    const ratio = tileRatio(manifest)
    const name = strings.gallery.photo(manifest.created_at)
    const picture = new Picture(manifest, {
      alt: name,
      sizes: `auto, ${Math.round(ratio * 280)}px`,
      lazy: true,
      onBroken: this.onBroken,
    })
    const open = element(
      'button',
      { type: 'button', class: 'photo', 'data-testid': 'photo', 'data-id': manifest.id, 'aria-haspopup': 'dialog' },
      picture.element,
    )
    open.addEventListener('click', () => this.open(manifest.id))
    const item = element('li', { class: 'tile' }, open)
    item.style.setProperty('--ratio', String(ratio))
    const tile = { item, open, picture }
    this.#tiles.set(manifest.id, tile)
    return tile
  }

  #showSkeleton(): void {
    for (const ratio of [1.5, 1, 0.75, 1.5, 1.33, 1.78]) {
      const tile = element('li', { class: 'tile skeleton', 'aria-hidden': 'true' }, element('span', { class: 'photo' }))
      tile.style.setProperty('--ratio', String(ratio))
      this.#list.append(tile)
    }
  }

  #showEmptiness(): void {
    this.#empty.hidden = this.#photos.length > 0 || !this.#begun || this.#cursor !== undefined
  }
}

type Tile = { item: HTMLLIElement; open: HTMLButtonElement; picture: Picture }

/** Whether the text is in the clipboard. Safari allows writing only within a click, so a promise is passed there. */
async function copy(text: Promise<string>): Promise<boolean> {
  try {
    const blob = text.then((text) => new Blob([text], { type: 'text/plain' }))
    await navigator.clipboard.write([new ClipboardItem({ 'text/plain': blob })])
    return true
  } catch {
    const written = text.then((text) => navigator.clipboard.writeText(text))
    return written.then(
      () => true,
      () => false,
    )
  }
}
