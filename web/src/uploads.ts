// The lifecycle of each upload: checked, hashed, signed, sent, then followed until the server reports its outcome. Owns
// the state, which `upload-list` shows. Uppy handles sending, progress, the queue and retries of transient failures.
// Called by `main`. It never touches the page. It never keeps a signed form: every try that a person starts requests a
// fresh one, because forms live only minutes.

import AwsS3 from '@uppy/aws-s3'
import Uppy from '@uppy/core'

import { type Limits, refusalOf } from './admission'
import type { Api, UploadStatus } from './api'
import { deleteUpload } from './deletion'
import { sha256Hex } from './digest'
import { Fault, sentenceFor, storageFault } from './fault'
import type { Manifest } from './manifest'
import { outcomeOf } from './outcome'
import { strings } from './strings'

export type UploadState =
  | { status: 'uploading'; phase: 'waiting' | 'preparing' }
  | { status: 'uploading'; phase: 'sending'; sent: number }
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

export class Uploads {
  readonly #api: Api
  readonly #owner: string
  readonly #limits: Limits
  readonly #listener: UploadsListener
  readonly #uppy: Uppy
  readonly #all = new Set<Tracked>()
  #nextKey = 1

  constructor(api: Api, owner: string, limits: Limits, listener: UploadsListener) {
    this.#api = api
    this.#owner = owner
    this.#limits = limits
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
        if (upload) this.#set(upload, { status: 'uploading', phase: 'sending', sent: progress.bytesUploaded || 0 })
      })
      .on('upload-success', (file) => {
        const upload = this.#find(file?.id)
        if (upload) void this.#follow(upload)
      })
      .on('upload-error', (file, error) => {
        const upload = this.#find(file?.id)
        if (upload) this.#fail(upload, error)
      })
  }

  add(files: Iterable<File>): number {
    let started = 0
    for (const file of files) {
      if (this.#isUnderWay(file)) {
        this.#listener.onDuplicate(file.name)
        continue
      }
      const refusal = refusalOf(file, this.#limits)
      const upload: Tracked = {
        file,
        name: file.name,
        state: refusal === null ? WAITING : { status: 'rejected', reason: refusal },
        ending: new AbortController(),
        ids: [],
      }
      this.#all.add(upload)
      this.#listener.onAdded(upload)
      if (refusal !== null) continue
      this.#send(upload)
      started += 1
    }
    return started
  }

  /** Aborts all work on it and removes it. An upload in progress is cancelled. */
  remove(upload: Upload): void {
    const tracked = this.#own(upload)
    if (!tracked) return
    this.#all.delete(tracked)
    tracked.ending.abort()
    this.#leaveUppy(tracked)
    // The browser may have sent the last byte already, or the answer to an earlier try was lost. An upload that has
    // arrived is about to be published, and nobody would see it.
    const { status } = tracked.state
    if (status === 'uploading' || status === 'processing') this.#delete(tracked, tracked.ids)
    this.#listener.onRemoved(tracked)
  }

  /** Tries a failed upload again, from a fresh form. */
  retry(upload: Upload): void {
    const tracked = this.#own(upload)
    if (tracked?.state.status !== 'failed') return
    this.#set(tracked, WAITING)
    this.#send(tracked)
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

  #send(upload: Tracked): void {
    const { file } = upload
    // Uppy distinguishes files by name, type, size and path. The path makes every try unique.
    const meta = { relativePath: String(this.#nextKey++) }
    upload.uppyId = this.#uppy.addFile({ name: upload.name, type: file.type, data: file, meta })
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
    const form = await this.#api.createUpload({
      content_type: file.type,
      size: file.size,
      sha256: upload.sha256,
      filename: upload.name,
    })
    if (!form.manifest.startsWith(`/media/${this.#owner}/`)) {
      this.#listener.onSomeoneElse()
      throw new Fault('session-over')
    }
    upload.ids.push(form.id)
    return { url: form.url, fields: form.fields }
  }

  async #follow(upload: Tracked): Promise<void> {
    const id = upload.ids.at(-1)
    if (id === undefined) return
    this.#set(upload, { status: 'processing' })
    // Not earlier: a copy that arrived with an earlier try might have been the only one.
    this.#delete(upload, upload.ids.splice(0, upload.ids.length - 1))
    try {
      const outcome = await outcomeOf(this.#api, id, upload.ending.signal)
      this.#leaveUppy(upload)
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
    if (fault instanceof Fault && fault.kind === 'refused') {
      // The same file would be refused again.
      return this.#set(upload, { status: 'rejected', reason: sentenceFor(fault) })
    }
    const sessionOver = fault instanceof Fault && fault.kind === 'session-over'
    const hasArrived = upload.state.status === 'processing'
    this.#set(upload, { status: 'failed', reason: sentenceFor(fault), sessionOver, hasArrived })
  }

  #set(upload: Tracked, state: UploadState): void {
    if (!this.#all.has(upload)) return
    upload.state = state
    this.#listener.onChanged(upload)
  }

  #leaveUppy(upload: Tracked): void {
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

  #isUnderWay({ name, size, lastModified }: File): boolean {
    return [...this.#all].some(
      ({ file, state }) =>
        (state.status === 'uploading' || state.status === 'processing') &&
        file.name === name &&
        file.size === size &&
        file.lastModified === lastModified,
    )
  }
}

type Tracked = {
  readonly file: File
  readonly name: string
  state: UploadState
  /** Aborts the wait for the outcome. */
  readonly ending: AbortController
  uppyId?: string
  sha256?: string
  /** The server's ids for it, one for each try, the latest last. Deleted ones are removed. */
  readonly ids: string[]
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
