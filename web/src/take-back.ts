// Deletes what was cancelled, and what failed before it is sent again. A browser that is told to stop may have
// sent the last byte already, or an answer was lost: the photo would turn up in the gallery all the same, or twice.
// Called by `uploads`. It shows nothing, and gives up with the page: what is left can be deleted in the gallery.

import type { Api } from './api'
import { Fault } from './fault'
import { outcomeOf } from './outcome'

/** By then, bytes that were on the way have arrived. */
const SETTLED_MS = 1_000
const PATIENCE_MS = 10 * 60_000
const NOT_FINISHED = 409

export async function takeBack(api: Pick<Api, 'deleteMedia' | 'uploadStatus'>, id: string): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS))
  try {
    await api.deleteMedia(id)
  } catch (error) {
    if (!(error instanceof Fault) || error.details.status !== NOT_FINISHED) throw error
    await outcomeOf(api, id, AbortSignal.timeout(PATIENCE_MS))
    await api.deleteMedia(id)
  }
}
