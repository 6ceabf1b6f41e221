// Which try of an upload has arrived. Called by `uploads` before it sends a file again: the answer of storage may have been
// lost, and then the file needs no other try. It never sends anything.

import type { Api, UploadStatus } from './api'
import { Fault } from './fault'

/** Of several tries that have arrived, the first in this order counts. */
const ORDER = ['ready', 'rejected', 'failed', 'deleted'] as const

/**
 * The id of the try that has arrived, or `undefined` if none is known to have. `pending` says that only of a try that
 * storage has confirmed: the server does not know of others before it looks at them.
 */
export async function arrivedOf(
  api: Pick<Api, 'uploadStatus'>,
  { ids, hasArrived }: { ids: readonly string[]; hasArrived: boolean },
  signal: AbortSignal,
): Promise<string | undefined> {
  const found = await Promise.all(ids.map((id) => statusOf(api, id, signal)))
  const idOf = (status: (typeof ORDER)[number]) => ids[found.indexOf(status)]
  // A confirmed try replaces earlier ones that came to nothing.
  if (idOf('ready') === undefined && hasArrived && found.at(-1) === 'pending') return ids.at(-1)
  return ORDER.map(idOf).find((id) => id !== undefined)
}

/** `undefined` if the form of this try has expired unused. */
async function statusOf(
  api: Pick<Api, 'uploadStatus'>,
  id: string,
  signal: AbortSignal,
): Promise<UploadStatus['status'] | undefined> {
  try {
    return (await api.uploadStatus(id, signal)).status
  } catch (error) {
    if (error instanceof Fault && error.details.status === 404) return undefined
    throw error
  }
}
