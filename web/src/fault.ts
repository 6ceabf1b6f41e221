// All failures as values, and the one sentence that a person reads for each. Thrown by `api`, made from S3's answers by
// `uploads`, worded by `strings`. A person never sees a bare status code, XML or a stack trace.

import { strings } from './strings'

export type FaultKind =
  /** The request never reached a server, or no answer arrived. */
  | 'unreachable'
  /** 401: the session is over. */
  | 'session-over'
  /** The signing API refused and said why. */
  | 'refused'
  /** S3 refused the file. `code` is S3's. */
  | 'storage'
  /** The file can no longer be read: it was moved, changed or removed. */
  | 'unreadable'
  /** Anything else; probably transient. */
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

/** Whether a retry may help: after a lost connection, an ended session or a server error, but not after a refusal. */
export function mayPass(error: unknown): boolean {
  return error instanceof Fault && error.kind !== 'refused'
}

/** The fault for an answer of the API, from its RFC 9457 problem document if it has one. */
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

/** The fault for an answer of S3: `<Error><Code>…</Code><Message>…</Message></Error>`. */
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
