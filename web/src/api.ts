// The calls of the signing API, one function each. Called by `uploads`, `outcome`, `deletion` and `gallery`. Every
// failure leaves here as a `Fault`; a 401 and the expiry of signed URLs are also reported to the listener. It never talks
// to S3 and never retries: the callers know whether a retry makes sense.

import { sha256Hex } from './digest'
import { Fault, faultOf } from './fault'
import { lifetimeMs } from './lifetime'
import type { Manifest } from './manifest'

export type UploadForm = {
  id: string
  /** The path of the future manifest. */
  manifest: string
  url: string
  fields: Record<string, string>
  /** RFC 3339. */
  expires_at: string
}

export type UploadStatus =
  | { id: string; status: 'pending' }
  | { id: string; status: 'ready'; manifest: Manifest }
  /** This file is not accepted. */
  | { id: string; status: 'rejected'; reason?: Reason }
  /** Processing has failed for good. The file is kept, and may be processed later. */
  | { id: string; status: 'failed'; reason?: Reason }
  | { id: string; status: 'deleted' }

/** No upload has this id. */
export type UnknownUpload = { id: string; status: 'unknown' }

/** `message` is a sentence for the person who sent the file. */
export type Reason = { code: string; message: string }

/** A page with a cursor is not the last one, even if it has no items. */
export type MediaPage = { items: Manifest[]; cursor?: string }

/** `expires_at` is RFC 3339. */
export type Link = { url: string; expires_at: string }

export type ApiListener = {
  /** A call was answered with 401. */
  onSessionOver(): void
  /** An answer has signed URLs of pictures, which are valid for this long. */
  onSignedUrls(lastMs: number): void
}

type RequestOptions = Pick<RequestInit, 'keepalive' | 'signal'>

export class Api {
  constructor(private readonly listener: ApiListener) {}

  createUpload(wanted: { content_type: string; size: number; sha256: string; filename: string }): Promise<UploadForm> {
    return this.#call<UploadForm>('/api/uploads', wanted)
  }

  uploadStatus(id: string, signal: AbortSignal): Promise<UploadStatus> {
    return this.#call<UploadStatus>(`/api/uploads/${encodeURIComponent(id)}`, undefined, { signal })
  }

  /** The statuses of up to 50 uploads, in their order. */
  async uploadStatuses(ids: readonly string[]): Promise<(UploadStatus | UnknownUpload)[]> {
    const query = new URLSearchParams({ ids: ids.join(',') })
    return (await this.#call<{ items: (UploadStatus | UnknownUpload)[] }>(`/api/uploads?${query}`)).items
  }

  listMedia(cursor: string | undefined): Promise<MediaPage> {
    const query = cursor === undefined ? '' : `?${new URLSearchParams({ cursor })}`
    return this.#call<MediaPage>(`/api/media${query}`)
  }

  /** Deletes an upload and everything made from it, whether it has arrived or not. The request outlives the page. */
  async deleteMedia(id: string): Promise<void> {
    await this.#send(`/api/media/${encodeURIComponent(id)}`, 'DELETE', undefined, { keepalive: true })
  }

  /** A link for this many seconds that works without a session. */
  createLink(path: string, seconds: number): Promise<Link> {
    return this.#call<Link>('/api/links', { path, expires_in: seconds })
  }

  /** Signs out: the browser deletes its cookies. */
  async endSession(): Promise<void> {
    await this.#send('/api/session', 'DELETE')
  }

  async #call<Answer>(path: string, body?: object, options: RequestOptions = {}): Promise<Answer> {
    const response = await this.#send(path, body === undefined ? 'GET' : 'POST', body, options)
    let answer: Answer & { urls_expire_at?: string }
    try {
      answer = await response.json()
    } catch (error) {
      if (options.signal?.aborted) throw error
      // The answer was truncated, or an intermediary answered.
      throw new Fault('unexpected', { status: response.status })
    }
    if (answer.urls_expire_at !== undefined) {
      this.listener.onSignedUrls(lifetimeMs(answer.urls_expire_at, response))
    }
    return answer
  }

  async #send(path: string, method: string, body?: object, options: RequestOptions = {}): Promise<Response> {
    const request: RequestInit = { method, headers: { accept: 'application/json' }, ...options }
    if (body !== undefined) {
      const text = JSON.stringify(body)
      request.body = text
      request.headers = {
        accept: 'application/json',
        'content-type': 'application/json',
        'x-amz-content-sha256': await sha256Hex(text),
      }
    }

    let response: Response
    try {
      response = await fetch(path, request)
    } catch (error) {
      if (options.signal?.aborted) throw error
      throw new Fault('unreachable')
    }
    if (!response.ok) {
      const fault = await faultOf(response)
      if (fault.kind === 'session-over') this.listener.onSessionOver()
      throw fault
    }
    return response
  }
}
