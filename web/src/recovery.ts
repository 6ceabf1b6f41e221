// Shows pictures that have failed to load as soon as the browser may see them again, in every mode of delivery: after the
// person has signed in again, after a renewal of the session with its cookies, or with new signed URLs. Called by `main`,
// with every picture that breaks. It never renews anything more than once a minute, so that a picture that stays refused
// stays broken.

/** How long the result of one renewal is left alone. */
const PAUSE_MS = 60_000

/** A picture of the page, as in `picture`. */
export type Recoverable = {
  readonly address: string
  /** In milliseconds of `performance.now()`. */
  readonly requestedAt: number
  reload(): void
}

export type Permission = {
  /** Whether the session is still valid; if it is over, the page says so, and `restored` is called when it is back. */
  isSignedIn(): Promise<boolean>
  /** Renews what the browser loads pictures with; `restored` is called if that has worked. */
  renew(): Promise<void>
}

export class Recovery {
  readonly #broken = new Set<Recoverable>()
  /** Those of which nobody has looked yet why they are broken. */
  readonly #unknown = new Set<Recoverable>()
  #restoredAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY
  #isTrying = false

  constructor(private readonly permission: Permission) {}

  /** A picture has failed to load. */
  broken(picture: Recoverable): void {
    // It was refused with a permission that has been replaced meanwhile.
    if (picture.requestedAt < this.#restoredAt) return picture.reload()
    this.#broken.add(picture)
    this.#unknown.add(picture)
    void this.#renewForOne()
  }

  /** The browser has a new permission: every broken picture gets one more try. */
  restored(): void {
    this.#restoredAt = performance.now()
    const pictures = [...this.#broken]
    this.#broken.clear()
    for (const picture of pictures) picture.reload()
  }

  /** Renews for the first broken picture that was refused. Others may be broken for another reason. */
  async #renewForOne(): Promise<void> {
    if (!(await this.permission.isSignedIn()) || this.#isTrying) return
    this.#isTrying = true
    try {
      for (const picture of this.#unknown) {
        this.#unknown.delete(picture)
        if (performance.now() - this.#triedAt < PAUSE_MS) continue
        if (!(await isRefused(picture.address))) continue
        this.#triedAt = performance.now()
        await this.permission.renew()
      }
    } finally {
      this.#isTrying = false
    }
  }
}

/** Whether it is the permission that is missing, and not the picture or the connection. An image does not tell. */
async function isRefused(address: string): Promise<boolean> {
  try {
    const response = await fetch(address, { cache: 'no-store' })
    await response.body?.cancel()
    return response.status === 401 || response.status === 403
  } catch {
    return false
  }
}
