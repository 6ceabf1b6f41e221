// Deletes what was cancelled, and the tries that failed before one that did not. A browser that is told to stop may
// have sent the last byte already, or an answer was lost: the photo would turn up in the gallery all the same, or
// twice. Called by `uploads`. It shows nothing, and ends with the page: what is left can be deleted in the gallery.

import type { Api } from './api'
import { Fault } from './fault'
import { outcomeOf } from './outcome'

/** When it is deleted, each after the one before: what a slow line still holds arrives later than the first. */
const PAUSES_MS = [1_000, 10_000, 60_000, 5 * 60_000]
const NOT_FINISHED = 409

export async function takeBack(api: Pick<Api, 'deleteMedia' | 'uploadStatus'>, id: string): Promise<void> {
  for (const pause of PAUSES_MS) {
    await new Promise((resolve) => setTimeout(resolve, pause))
    try {
      await api.deleteMedia(id)
    } catch (error) {
      // Whatever else it is may pass until the next time.
      if (!(error instanceof Fault) || error.details.status !== NOT_FINISHED) continue
      // It has arrived, and no worker is to publish it after it was deleted.
      await outcomeOf(api, id, AbortSignal.timeout(10 * 60_000)).catch(() => {})
      await api.deleteMedia(id).catch(() => {})
    }
  }
}
