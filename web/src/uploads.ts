// The lifecycle of each upload: checked, hashed, signed, sent, then followed until the server reports its outcome. Owns
// the state, which `upload-list` shows. Uppy handles sending, progress and the queue, and retries for some seconds. What
// is interrupted for longer is tried again from here, after asking the server whether it has arrived. Called by `main`.
// It never touches the page. It never keeps a signed form: every try requests a fresh one, because forms live only
// minutes.

import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'

import { type Limits, refusalOf } from './admission'
import type { Api, UploadStatus } from './api'
import { arrivedOf } from './arrival'
import { contentTypeOf } from './content-type'
import { deleteUpload } from './deletion'
import { sha256Hex } from './digest'
import { Fault, sentenceFor, storageFault } from './fault'
import type { Manifest } from './manifest'
import { outcomeOf } from './outcome'
import type { Kept, Queue } from './queue'
import { isDenied, isInterruption, isOffline, MOST_RETRIES, untilRetry } from './retry'
import { StatusBatch } from './status-batch'
import { strings } from './strings'

export type UploadState =
  | { status: 'uploading'; phase: 'waiting' | 'preparing' }
  | { status: 'uploading'; phase: 'sending'; sent: number }
  /** It will be tried again by itself. */
  | { status: 'uploading'; phase: 'interrupted'; isOffline: boolean }
  | { status: 'processing' }
  | { status: 'ready'; manifest: Manifest }
  /** Final: this file is refused, by the page or by the server. */
  | { status: 'rejected'; reason: string }
  /** May be tried again. If it has arrived, the server keeps the file, although processing has failed for now. */
  | { status: 'failed'; reason: string; sessionOver: boolean; hasArrived: boolean }

export type Upload = { readonly file: File; readonly name: string; readonly state: UploadState }

export type UploadsListener = {
  onAdded(upload: Upload): void
  onChanged(upload: Upload): void
  onRemoved(upload: Upload): void
  /** The server says that it is deleted: this happened elsewhere. `onRemoved` follows. */
  onDeleted(upload: Upload): void
  /** The same file is already in progress. */
  onDuplicate(name: string): void
  /** A cancelled or replaced copy may still appear. */
  onNotDeleted(name: string): void
  /** Somebody else is signed in by now; nothing was sent in their name. */
  onSomeoneElse(): void
}

/** How many files are sent concurrently. */
const AT_ONCE = 3
/** After this long without progress, an upload is broken off. */
const STALL_MS = 60_000
/** Once all is sent, the rest of it may be in the buffers of a slow line. */
const STALL_AT_END_MS = 300_000

export class Uploads {
  readonly #api: Api
  readonly #owner: string
  readonly #statuses: StatusBatch
  readonly #limits: Limits
  readonly #queue: Queue
  readonly #listener: UploadsListener
  readonly #uppy: Uppy
  readonly #all = new Set<Tracked>()
  #nextKey = 1
  #isStopped = false

  constructor(api: Api, owner: string, limits: Limits, queue: Queue, listener: UploadsListener) {
    this.#api = api
    this.#owner = owner
    this.#statuses = new StatusBatch(api)
    this.#limits = limits
    this.#queue = queue
    this.#listener = listener
    // Uppy's own messages are silenced: each failure is shown on its row, with the texts of `strings`.
    const silent = { debug() {}, warn() {}, error() {} }
    this.#uppy = new Uppy({ autoProceed: true, logger: silent })
      .use(AwsS3, {
        limit: AT_ONCE,
        shouldUseMultipart: false,
        // The server makes the real key; this one only identifies the file that needs a form.
        generateObjectKey: (file) => file.id,
        signRequest: (request) => this.#sign(request.key),
      })
      .on('upload-progress', (file, progress) => {
        const upload = this.#find(file?.id)
        if (!upload) return
        const sent = progress.bytesUploaded || 0
        this.#watch(upload, sent < upload.file.size ? STALL_MS : STALL_AT_END_MS)
        this.#set(upload, { status: 'uploading', phase: 'sending', sent })
      })
      .on('upload-success', (file) => {
        const upload = this.#find(file?.id)
        const id = upload?.ids.at(-1)
        if (upload === undefined || id === undefined) return
        upload.hasArrived = true
        void this.#note(upload)
        void this.#follow(upload, id)
      })
      .on('upload-error', (file, error) => {
        const upload = this.#find(file?.id)
        if (upload) this.#fail(upload, error)
      })
  }

  /** Returns how many of them are sent. A failed file that is chosen again is tried again on its row. */
  async add(files: Iterable<File>): Promise<number> {
    const isSent = await Promise.all([...files].map((file) => this.#addOne(file)))
    return isSent.filter(Boolean).length
  }

  async #addOne(file: File): Promise<boolean> {
    const known = this.#same(file)
    if (known?.state.status === 'failed') {
      // The file that failed may not be readable any more.
      known.file = file
      delete known.sha256
      this.retry(known)
      return true
    }
    if (known) {
      this.#listener.onDuplicate(file.name)
      return false
    }
    const upload = this.#track(file)
    const isAdmitted = await this.#admit(upload)
    if (isAdmitted) void this.#keep(upload)
    return isAdmitted
  }

  /** Continues an upload of another page. */
  resume({ key, file, ids, hasArrived }: Kept): void {
    if (this.#isStopped) return
    const upload = this.#track(file)
    upload.key = key
    upload.isKept = true
    upload.hasArrived = hasArrived
    upload.ids.push(...ids)
    void this.#proceed(upload)
  }

  #track(file: File): Tracked {
    const { name, type } = file
    const upload: Tracked = {
      file,
      type,
      name,
      state: WAITING,
      ending: new AbortController(),
      ids: [],
      replaced: [],
      hasArrived: false,
      isKept: false,
      formEndsAt: Number.POSITIVE_INFINITY,
      nRetries: 0,
    }
    this.#all.add(upload)
    this.#listener.onAdded(upload)
    return upload
  }

  /** Keeps the upload in case the page is closed. */
  async #keep(upload: Tracked): Promise<void> {
    // A large file takes seconds, and a retry may come before.
    if (upload.isKept) return
    upload.isKept = true
    const key = await this.#queue.keep(upload.file)
    if (key === undefined) return
    upload.key = key
    if (this.#isUnfinished(upload)) await this.#note(upload)
    else this.#forgetFinished(upload)
  }

  async #note({ key, ids, hasArrived }: Tracked): Promise<void> {
    if (key !== undefined) await this.#queue.note(key, { ids, hasArrived })
  }

  /** Whether another page would have to go on with it: what failed after it arrived, the server keeps. */
  #isUnfinished(upload: Tracked): boolean {
    if (!this.#all.has(upload)) return false
    return isUnderWay(upload) || (upload.state.status === 'failed' && !upload.state.hasArrived)
  }

  /** Refuses the file or starts to send it; returns whether it is sent. */
  async #admit(upload: Tracked): Promise<boolean> {
    const { file, name } = upload
    // A file that cannot be read fails when it is sent.
    upload.type = await contentTypeOf(file).catch(() => file.type)
    if (!this.#all.has(upload)) return false
    const refusal = refusalOf({ name, type: upload.type, size: file.size }, this.#limits)
    if (refusal === null) this.#send(upload)
    else this.#set(upload, { status: 'rejected', reason: refusal })
    return refusal === null
  }

  /** Aborts all work on it and removes it. An upload in progress is cancelled. */
  remove(upload: Upload): void {
    const tracked = this.#own(upload)
    if (!tracked) return
    this.#all.delete(tracked)
    this.#forgetFinished(tracked)
    tracked.ending.abort()
    this.#leaveUppy(tracked)
    // The browser may have sent the last byte already, or the answer to an earlier try was lost. An upload that has
    // arrived is about to be published, and nobody would see it.
    const { status } = tracked.state
    if (status === 'uploading' || status === 'processing') this.#delete(tracked, [...tracked.ids, ...tracked.replaced])
    this.#listener.onRemoved(tracked)
  }

  /** Tries a failed upload again, from a fresh form, unless it has arrived after all. */
  retry(upload: Upload): void {
    const tracked = this.#own(upload)
    if (tracked?.state.status !== 'failed') return
    tracked.nRetries = 0
    this.#set(tracked, WAITING)
    void this.#keep(tracked)
    void this.#proceed(tracked)
  }

  retryAll(): void {
    for (const upload of this.#all) this.retry(upload)
  }

  /** Continues uploads that the end of a session stopped. */
  retryAfterSignIn(): void {
    for (const upload of this.#all) {
      if (upload.state.status === 'failed' && upload.state.sessionOver) this.retry(upload)
    }
  }

  clearFinished(): void {
    for (const upload of this.#all) {
      if (upload.state.status === 'ready' || upload.state.status === 'rejected') this.remove(upload)
    }
  }

  /** Stops all of them silently. */
  stop(): void {
    this.#isStopped = true
    for (const upload of this.#all) {
      this.#all.delete(upload)
      upload.ending.abort()
      this.#leaveUppy(upload)
    }
  }

  /** Whether leaving the page now would lose an upload. */
  isSending(): boolean {
    return [...this.#all].some((upload) => upload.state.status === 'uploading')
  }

  /** Whether signing out now would lose one. */
  hasUnsent(): boolean {
    return [...this.#all].some((upload) => upload.state.status !== 'processing' && this.#isUnfinished(upload))
  }

  #send(upload: Tracked): void {
    const { file, name, type } = upload
    // Uppy distinguishes files by name, type, size and path. The path makes every try unique.
    const meta = { relativePath: String(this.#nextKey++) }
    upload.uppyId = this.#uppy.addFile({ name, type, data: file, meta })
  }

  async #sign(uppyId: string): Promise<{ url: string; fields: Record<string, string> }> {
    const upload = this.#find(uppyId)
    // Cancelled a moment ago: Uppy drops the request as well.
    if (!upload) throw new DOMException('Cancelled', 'AbortError')
    this.#set(upload, { status: 'uploading', phase: 'preparing' })
    const { file } = upload
    upload.sha256 ??= await sha256Hex(file).catch(() => {
      throw new Fault('unreadable')
    })
    this.#takeOver(upload)
    const form = await this.#api.createUpload({
      content_type: upload.type,
      size: file.size,
      sha256: upload.sha256,
      filename: upload.name,
    })
    if (!form.manifest.startsWith(`/media/${this.#owner}/`)) {
      this.#listener.onSomeoneElse()
      throw new Fault('session-over')
    }
    upload.ids.push(form.id)
    upload.hasArrived = false
    upload.formEndsAt = Date.parse(form.expires_at)
    this.#watch(upload, STALL_MS)
    // Before anything is sent: another page must ask about this id.
    await this.#note(upload)
    return { url: form.url, fields: form.fields }
  }

  /**
   * Makes one upload of those with the same content, whatever their names are. What failed before is replaced, along with
   * its copies that may have arrived; what is in progress goes on instead of this one.
   */
  #takeOver(upload: Tracked): void {
    for (const twin of this.#all) {
      if (twin === upload || twin.sha256 !== upload.sha256) continue
      if (twin.state.status === 'failed') {
        upload.ids.unshift(...twin.ids.splice(0))
        upload.replaced.push(...twin.replaced.splice(0))
        void this.#note(upload)
        this.remove(twin)
      } else if (isUnderWay(twin)) {
        this.#listener.onDuplicate(upload.name)
        this.remove(upload)
        throw new DOMException('Cancelled', 'AbortError')
      }
    }
  }

  async #follow(upload: Tracked, id: string): Promise<void> {
    clearTimeout(upload.stall)
    this.#set(upload, { status: 'processing' })
    try {
      const outcome = await outcomeOf(this.#statuses, id, upload.ending.signal)
      this.#leaveUppy(upload)
      // Not earlier, and not if it has failed: a copy of another try might be the only one.
      if (outcome.status === 'ready' || outcome.status === 'rejected') {
        this.#delete(
          upload,
          [...upload.ids, ...upload.replaced].filter((other) => other !== id),
        )
      }
      this.#settle(upload, outcome)
    } catch (error) {
      if (!upload.ending.signal.aborted) this.#fail(upload, error)
    }
  }

  #settle(upload: Tracked, outcome: Exclude<UploadStatus, { status: 'pending' }>): void {
    switch (outcome.status) {
      case 'ready':
        return this.#set(upload, { status: 'ready', manifest: outcome.manifest })
      case 'rejected':
        return this.#set(upload, { status: 'rejected', reason: outcome.reason?.message || strings.refusal.unnamed })
      case 'failed': {
        replaceAll(upload)
        const reason = outcome.reason?.message || strings.fault.notProcessed
        return this.#set(upload, { status: 'failed', reason, sessionOver: false, hasArrived: true })
      }
      case 'deleted':
        this.#listener.onDeleted(upload)
        return this.remove(upload)
    }
  }

  #fail(upload: Tracked, error: unknown): void {
    // Uppy sends failed files again together with the next added one.
    this.#leaveUppy(upload)
    const fault = faultIn(error)
    const { state } = upload
    const hasArrived = state.status === 'processing'
    const isInterrupted = isInterruption(fault) || (isDenied(fault) && Date.now() > upload.formEndsAt)
    if (isInterrupted && !hasArrived && upload.nRetries < MOST_RETRIES) return void this.#tryAgain(upload)
    // Only the call for a form says something about the file.
    const isForForm = state.status === 'uploading' && state.phase === 'preparing'
    if (isForForm && fault instanceof Fault && fault.kind === 'refused') {
      // The same file would be refused again.
      return this.#set(upload, { status: 'rejected', reason: sentenceFor(fault) })
    }
    const sessionOver = fault instanceof Fault && fault.kind === 'session-over'
    this.#set(upload, { status: 'failed', reason: sentenceFor(fault), sessionOver, hasArrived })
  }

  /** Continues an interrupted upload: what has arrived is followed, anything else is sent again. */
  async #tryAgain(upload: Tracked): Promise<void> {
    this.#set(upload, { status: 'uploading', phase: 'interrupted', isOffline: isOffline() })
    try {
      await untilRetry(upload.nRetries++, upload.ending.signal)
    } catch {
      return // It was removed.
    }
    await this.#proceed(upload)
  }

  async #proceed(upload: Tracked): Promise<void> {
    try {
      // Whether the last byte had arrived when the connection was lost, only the server knows.
      const arrived = await arrivedOf(this.#statuses, upload, upload.ending.signal)
      if (!this.#all.has(upload)) return
      if (arrived !== undefined) return void this.#follow(upload, arrived)
      this.#set(upload, WAITING)
      await this.#admit(upload)
    } catch (error) {
      if (!upload.ending.signal.aborted) this.#fail(upload, error)
    }
  }

  /** Breaks off an upload that makes no progress: some networks drop a connection without a word. */
  #watch(upload: Tracked, patienceMs: number): void {
    clearTimeout(upload.stall)
    upload.stall = setTimeout(() => {
      if (this.#all.has(upload) && upload.state.status === 'uploading') this.#fail(upload, new Fault('unreachable'))
    }, patienceMs)
  }

  #set(upload: Tracked, state: UploadState): void {
    if (!this.#all.has(upload)) return
    upload.state = state
    this.#forgetFinished(upload)
    this.#listener.onChanged(upload)
  }

  #forgetFinished(upload: Tracked): void {
    if (upload.key === undefined || this.#isUnfinished(upload)) return
    void this.#queue.forget(upload.key)
    delete upload.key
    upload.isKept = false
  }

  #leaveUppy(upload: Tracked): void {
    clearTimeout(upload.stall)
    if (upload.uppyId !== undefined) this.#uppy.removeFile(upload.uppyId)
    delete upload.uppyId
  }

  #delete({ name }: Upload, ids: readonly string[]): void {
    const deletions = ids.map((id) => deleteUpload(this.#api, id))
    Promise.all(deletions).catch(() => this.#listener.onNotDeleted(name))
  }

  #find(uppyId: string | undefined): Tracked | undefined {
    return [...this.#all].find((upload) => upload.uppyId !== undefined && upload.uppyId === uppyId)
  }

  #own(upload: Upload): Tracked | undefined {
    return [...this.#all].find((tracked) => tracked === upload)
  }

  /** The unfinished upload of the same file. */
  #same({ name, size, lastModified }: File): Tracked | undefined {
    return [...this.#all].find(
      (upload) =>
        (isUnderWay(upload) || upload.state.status === 'failed') &&
        upload.file.name === name &&
        upload.file.size === size &&
        upload.file.lastModified === lastModified,
    )
  }
}

type Tracked = {
  file: File
  /** The content type, by the file's bytes. */
  type: string
  readonly name: string
  state: UploadState
  /** How often it was interrupted and tried again. */
  nRetries: number
  /** Aborts the waits for a retry and for the outcome. */
  readonly ending: AbortController
  uppyId?: string
  /** Whether it is in the queue, or on its way there. */
  isKept: boolean
  /** Its place in the queue. */
  key?: string
  sha256?: string
  /** The server's ids for it, one for each try, the latest last. */
  readonly ids: string[]
  /** The ids of tries that arrived and that the server could not process. A later one replaces them. */
  readonly replaced: string[]
  /** Whether storage has confirmed the latest id. */
  hasArrived: boolean
  /** When the form of the latest id expires, by the local clock. */
  formEndsAt: number
  /** Breaks it off if it makes no progress. */
  stall?: ReturnType<typeof setTimeout>
}

/** Leaves what the server could not process to it, so that the next try is not told about these. */
function replaceAll(upload: Tracked): void {
  upload.replaced.push(...upload.ids.splice(0))
  upload.hasArrived = false
}

function isUnderWay({ state }: Upload): boolean {
  return state.status === 'uploading' || state.status === 'processing'
}

const WAITING: UploadState = { status: 'uploading', phase: 'waiting' }

/** Uppy's S3 errors are not exported, and the minifier renames them: they are recognised by their shape. */
function faultIn(error: unknown): unknown {
  if (error instanceof Fault || typeof error !== 'object' || error === null) return error
  if ('code' in error && error.code === 'NETWORK') return storageFault(0, undefined)
  if ('status' in error && typeof error.status === 'number') {
    return storageFault(error.status, 'body' in error && typeof error.body === 'string' ? error.body : undefined)
  }
  return error
}
