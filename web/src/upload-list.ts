// Shows the uploads, one row each, and reports what people do with them. Called by `main` with the events of `uploads`.
// It never changes an upload's state itself.

import type { Announcer } from './announcer'
import { element, icon } from './element'
import { bestRenditions, type Manifest } from './manifest'
import { previewOf } from './preview'
import { strings } from './strings'
import type { Upload, UploadState, Uploads } from './uploads'

/** After this long in processing, the row says that it is safe to leave. */
const LONG_MS = 20_000

/** How seldom a screen reader hears that the connection was lost. */
const INTERRUPTED_MS = 60_000

export class UploadList {
  readonly element: HTMLElement
  readonly #rows = new Map<Upload, Row>()
  readonly #list = element('ul', { class: 'uploads-list', role: 'list' })
  /** The page's own title. */
  readonly #title = document.title
  #saidInterrupted = false
  readonly #summary = element('span', { class: 'count' })
  readonly #retryAll = element(
    'button',
    { type: 'button', class: 'button quiet', hidden: true, 'data-testid': 'retry-all' },
    strings.uploads.retryAll,
  )
  readonly #clear = element('button', { type: 'button', class: 'button quiet', hidden: true }, strings.uploads.clear)

  constructor(
    private readonly uploads: () => Uploads,
    private readonly announcer: Announcer,
    private readonly open: (manifest: Manifest) => void,
  ) {
    this.#clear.addEventListener('click', () => {
      this.uploads().clearFinished()
      focusIn(this.#list)
    })
    this.#retryAll.addEventListener('click', () => {
      this.uploads().retryAll()
      focusIn(this.#list)
    })
    const title = element('h2', { id: 'uploads-title' }, strings.uploads.title)
    this.element = element(
      'section',
      { class: 'uploads', 'aria-labelledby': 'uploads-title', hidden: true },
      element('div', { class: 'section-head' }, title, this.#summary, this.#retryAll, this.#clear),
      this.#list,
    )
  }

  added(upload: Upload): void {
    const row: Row = new Row(upload, {
      onRemove: () => this.#remove(upload),
      onRetry: () => {
        this.uploads().retry(upload)
        focusIn(row.element)
      },
      onOpen: (manifest) => this.open(manifest),
    })
    this.#rows.set(upload, row)
    this.#list.append(row.element)
    this.#summarise()
    this.#announce(upload)
  }

  changed(upload: Upload): void {
    const row = this.#rows.get(upload)
    if (!row) return
    if (isInterrupted(upload)) this.#sayInterrupted()
    if (row.show(upload.state)) {
      this.#summarise()
      this.#announce(upload)
    }
  }

  removed(upload: Upload): void {
    const row = this.#rows.get(upload)?.element
    const neighbour = row?.nextElementSibling ?? row?.previousElementSibling
    const hadFocus = row?.contains(document.activeElement)
    row?.remove()
    this.#rows.delete(upload)
    this.#summarise()
    if (hadFocus) focusIn(neighbour)
  }

  #remove(upload: Upload): void {
    const { status } = upload.state
    // Safari does not focus a button that is clicked.
    this.#rows.get(upload)?.focus()
    this.uploads().remove(upload)
    if (status === 'uploading') this.announcer.say(strings.announce.cancelled(upload.name))
  }

  #summarise(): void {
    const states = [...this.#rows.keys()].map((upload) => upload.state.status)
    const done = states.filter((status) => status !== 'uploading' && status !== 'processing').length
    const troubled = states.filter((status) => status === 'rejected' || status === 'failed').length
    this.element.hidden = states.length === 0
    this.#summary.textContent = strings.uploads.summary(done, states.length, troubled)
    document.title = done < states.length ? strings.uploads.inTitle(done, states.length) : this.#title
    this.#retryAll.hidden = states.filter((status) => status === 'failed').length < 2
    this.#clear.hidden = !states.some((status) => status === 'ready' || status === 'rejected')
  }

  /** Once for all of them: the same network carries them. */
  #sayInterrupted(): void {
    if (this.#saidInterrupted) return
    this.#saidInterrupted = true
    this.announcer.say(strings.announce.interrupted)
    setTimeout(() => (this.#saidInterrupted = false), INTERRUPTED_MS)
  }

  #announce({ name, state }: Upload): void {
    if (state.status === 'ready') this.announcer.say(strings.announce.ready(name))
    if (state.status === 'rejected') this.announcer.say(strings.announce.rejected(name, state.reason))
    if (state.status === 'failed') {
      const sentence = state.hasArrived ? strings.announce.notProcessed : strings.announce.failed
      this.announcer.say(sentence(name, state.reason))
    }
  }
}

function isInterrupted({ state }: Upload): boolean {
  return state.status === 'uploading' && state.phase === 'interrupted'
}

/** Keeps the focus near a button that was removed: on a remaining button there, or else on the file picker. */
function focusIn(place: Element | null | undefined): void {
  const next =
    place?.querySelector<HTMLElement>('button:not([hidden])') ?? document.querySelector<HTMLElement>('#file-input')
  next?.focus()
}

class Row {
  readonly element: HTMLLIElement
  readonly #name: string
  readonly #size: number
  readonly #thumb: HTMLElement
  readonly #note = element('p', { class: 'upload-note' })
  readonly #reason = element('p', { class: 'upload-reason', 'data-testid': 'reason', hidden: true })
  readonly #fill = element('span', { class: 'bar-fill' })
  readonly #bar: HTMLElement
  readonly #retry: HTMLButtonElement
  readonly #remove: HTMLButtonElement
  readonly #onOpen: (manifest: Manifest) => void
  #status: UploadState['status'] | undefined
  #longTimer: ReturnType<typeof setTimeout> | undefined

  constructor(upload: Upload, on: { onRemove(): void; onRetry(): void; onOpen(manifest: Manifest): void }) {
    this.#name = upload.name
    this.#size = upload.file.size
    this.#onOpen = on.onOpen
    this.#thumb = element('div', { class: 'upload-thumb' }, icon('image'))
    const label = strings.uploads.progressOf(upload.name)
    this.#bar = element(
      'div',
      { class: 'bar', role: 'progressbar', 'aria-label': label, 'aria-valuemin': 0, 'aria-valuemax': 100 },
      this.#fill,
    )
    this.#retry = element(
      'button',
      {
        type: 'button',
        class: 'button small',
        'aria-label': strings.uploads.retryOf(upload.name),
        'data-testid': 'retry',
        hidden: true,
      },
      icon('retry'),
      strings.uploads.retry,
    )
    this.#remove = element('button', { type: 'button', class: 'icon-button', 'data-testid': 'remove' }, icon('close'))
    this.#retry.addEventListener('click', () => on.onRetry())
    this.#remove.addEventListener('click', () => on.onRemove())
    this.element = element(
      'li',
      { class: 'upload', 'data-testid': 'upload', 'data-filename': upload.name },
      this.#thumb,
      element(
        'div',
        { class: 'upload-body' },
        element('p', { class: 'upload-name', title: upload.name }, upload.name),
        this.#note,
        this.#reason,
        this.#bar,
        this.#retry,
      ),
      this.#remove,
    )
    this.show(upload.state)
    if (upload.state.status === 'uploading') this.#previewOf(upload.file)
  }

  focus(): void {
    this.#remove.focus()
  }

  /** Whether the status has changed. */
  show(state: UploadState): boolean {
    this.#showProgress(state)
    if (state.status === this.#status) return false
    this.#status = state.status
    clearTimeout(this.#longTimer)

    const busy = state.status === 'uploading' || state.status === 'processing'
    const label = busy ? strings.uploads.cancel(this.#name) : strings.uploads.dismiss(this.#name)
    this.element.dataset.status = state.status
    this.#remove.setAttribute('aria-label', label)
    this.#remove.title = label
    this.#bar.hidden = !busy
    this.#retry.hidden = state.status !== 'failed'
    this.#reason.hidden = state.status !== 'failed' && state.status !== 'rejected'
    this.#note.hidden = !this.#reason.hidden
    if (state.status === 'failed' || state.status === 'rejected') this.#reason.textContent = state.reason
    if (state.status === 'rejected') this.#thumb.replaceChildren(icon('alert'))
    if (state.status === 'processing') {
      this.#longTimer = setTimeout(() => (this.#note.textContent = strings.uploads.processingLong), LONG_MS)
    }
    if (state.status === 'ready') this.#showReady(state.manifest)
    return true
  }

  #showProgress(state: UploadState): void {
    if (state.status === 'processing') {
      this.#note.textContent = strings.uploads.processing
      this.#setBar(undefined)
    }
    if (state.status !== 'uploading') return
    if (state.phase === 'sending') {
      this.#note.textContent = strings.uploads.sending(state.sent, this.#size)
      this.#setBar(Math.min(1, state.sent / this.#size))
    } else if (state.phase === 'interrupted') {
      this.#note.textContent = state.isOffline ? strings.uploads.offline : strings.uploads.interrupted
      this.#setBar(0)
    } else {
      this.#note.textContent = state.phase === 'waiting' ? strings.uploads.waiting : strings.uploads.preparing
      this.#setBar(0)
    }
  }

  /** `undefined` means in progress, by an unknown amount. */
  #setBar(part: number | undefined): void {
    this.#bar.classList.toggle('indefinite', part === undefined)
    if (part === undefined) {
      this.#bar.removeAttribute('aria-valuenow')
      this.#fill.style.scale = ''
    } else {
      this.#bar.setAttribute('aria-valuenow', String(Math.round(part * 100)))
      this.#fill.style.scale = `${part} 1`
    }
  }

  #showReady(manifest: Manifest): void {
    this.#note.replaceChildren(icon('check'), strings.uploads.ready(this.#size))
    const smallest = bestRenditions(manifest)[0]
    if (!smallest) return
    const image = element('img', { alt: '', src: smallest.url })
    const open = element(
      'button',
      { type: 'button', class: 'upload-open', 'aria-label': strings.uploads.open(this.#name) },
      image,
    )
    open.addEventListener('click', () => this.#onOpen(manifest))
    // The preview stays until the thumbnail is loaded; a thumbnail that fails to load still opens the photo.
    const show = () => this.#thumb.replaceChildren(open)
    image.decode().then(show, show)
  }

  /** A preview of the file during the upload, once somebody sees its row; a file that is not a picture keeps the icon. */
  #previewOf(file: File): void {
    const isWanted = () => this.element.isConnected && this.#status !== 'ready' && this.#status !== 'rejected'
    const visible = new IntersectionObserver((entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return
      visible.disconnect()
      void previewOf(file, isWanted).then((preview) => {
        if (preview && isWanted()) this.#thumb.replaceChildren(preview)
      })
    })
    visible.observe(this.#thumb)
  }
}
