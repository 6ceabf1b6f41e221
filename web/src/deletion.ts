// Deletes uploads that a person no longer wants: cancelled ones, and copies that a later try has replaced. One request
// is enough, because the server also removes data that arrives afterwards. It is repeated only if the request itself
// fails. Called by `uploads`. It shows nothing, and it ends with the page.

import type { Api } from './api'
import { mayPass } from './fault'

/** The pauses before each retry: a lost connection has more than five minutes to come back. */
const PAUSES_MS = [1_000, 4_000, 16_000, 64_000, 256_000]

/** Throws if the server refuses, or if every try has failed. */
export async function deleteUpload(api: Pick<Api, 'deleteMedia'>, id: string): Promise<void> {
  for (const pause of PAUSES_MS) {
    try {
      return await api.deleteMedia(id)
    } catch (error) {
      if (!mayPass(error)) throw error
    }
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
  await api.deleteMedia(id)
}
