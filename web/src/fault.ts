// What can go wrong, as values, and the one sentence that a person reads for each. Thrown by `api`,
// made from S3's answers by `uploads`, worded by `strings`. It never shows a person a status code
// alone, XML or a stack trace.

import { strings } from './strings'

export type FaultKind =
  /** The request never reached a server, or no answer came back. */
  | 'unreachable'
  /** 401: whoever was signed in is no longer. */
  | 'session-over'
  /** The signing API refused and said why. */
  | 'refused'
  /** S3 refused the file. `code` is S3's. */
  | 'storage'
  /** The file could not be read any more: moved, changed or taken away. */
  | 'unreadable'
  /** Anything else; passing, as far as one can tell. */
  | 'unexpected'

export class Fault extends Error {
  constructor(
    readonly kind: FaultKind,
    readonly details: { status?: number; code?: string; sentence?: string; requestId?: string } = {},
  ) {
    super(`${kind} ${details.status ?? ''} ${details.code ?? ''}`.trim())
    this.name = 'Fault'
  }
}

/** A lost connection, a session that ended and a server in trouble all may heal; a plain no does not. */
export function mayPass(error: unknown): boolean {
  return error instanceof Fault && error.kind !== 'refused'
}

/** A fault for an answer of the API, from its RFC 9457 problem document where it sent one. */
export async function faultOf(response: Response): Promise<Fault> {
  if (response.status === 401) return new Fault('session-over', { status: 401 })
  const problem = await problemIn(response)
  const sentence = problem?.detail ?? problem?.title
  const requestId = response.headers.get('x-request-id')
  return new Fault(response.status < 500 && sentence ? 'refused' : 'unexpected', {
    status: response.status,
    ...(sentence ? { sentence } : {}),
    ...(requestId ? { requestId } : {}),
  })
}

/** A fault for what S3 answered: `<Error><Code>…</Code><Message>…</Message></Error>`. */
export function storageFault(status: number, xml: string | undefined): Fault {
  if (status === 0) return new Fault('unreachable')
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(xml ?? '')?.[1]
  return new Fault('storage', { status, ...(code ? { code } : {}) })
}

/** The sentence for a person. */
export function sentenceFor(error: unknown): string {
  if (!(error instanceof Fault)) return strings.fault.unexpected
  const { kind, details } = error
  switch (kind) {
    case 'unreachable':
      return strings.fault.unreachable
    case 'session-over':
      return strings.fault.sessionOver
    case 'refused':
      return details.sentence ?? strings.fault.unexpected
    case 'storage':
      return strings.fault.storage[details.code ?? ''] ?? strings.fault.storageOther
    case 'unreadable':
      return strings.fault.unreadable
    case 'unexpected':
      return details.requestId ? strings.fault.unexpectedWithId(details.requestId) : strings.fault.unexpected
  }
}

type Problem = { title?: string; detail?: string }

async function problemIn(response: Response): Promise<Problem | undefined> {
  if (!response.headers.get('content-type')?.startsWith('application/problem+json')) return undefined
  try {
    return (await response.json()) as Problem
  } catch {
    return undefined
  }
}
