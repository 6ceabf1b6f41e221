// Asks for the statuses of many uploads in one call. Called by `uploads`, for its polls and for what it resumes. Questions
// that come within a moment share a request, and so do their next ones. It never retries.

import type { Api, UploadStatus } from './api'
import { Fault } from './fault'

/** How long questions are gathered. */
const GATHER_MS = 100
/** The most ids that the API takes. */
const MOST_IDS = 50

type Question = {
  id: string
  signal: AbortSignal
  resolve(status: UploadStatus): void
  reject(error: unknown): void
}

export class StatusBatch {
  #gathered: Question[] = []

  constructor(private readonly api: Pick<Api, 'uploadStatus' | 'uploadStatuses'>) {}

  uploadStatus(id: string, signal: AbortSignal): Promise<UploadStatus> {
    return new Promise((resolve, reject) => {
      this.#gathered.push({ id, signal, resolve, reject })
      if (this.#gathered.length === 1) setTimeout(() => this.#ask(this.#gathered.splice(0)), GATHER_MS)
    })
  }

  #ask(questions: Question[]): void {
    for (let at = 0; at < questions.length; at += MOST_IDS) void this.#askOnce(questions.slice(at, at + MOST_IDS))
  }

  async #askOnce(questions: Question[]): Promise<void> {
    const open = questions.filter((question) => !isAborted(question))
    const [first] = open
    if (first === undefined) return
    try {
      const answers =
        open.length === 1
          ? [await this.api.uploadStatus(first.id, first.signal)]
          : await this.api.uploadStatuses(open.map(({ id }) => id))
      for (const question of open) {
        if (isAborted(question)) continue
        const answer = answers.find(({ id }) => id === question.id)
        if (answer === undefined || answer.status === 'unknown') question.reject(new Fault('refused', { status: 404 }))
        else question.resolve(answer)
      }
    } catch (error) {
      for (const { reject } of open) reject(error)
    }
  }
}

/** Whether nobody waits for the answer any more; who waited learns it. */
function isAborted({ signal, reject }: Question): boolean {
  if (signal.aborted) reject(signal.reason)
  return signal.aborted
}
