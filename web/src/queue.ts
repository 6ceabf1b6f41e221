// Unfinished uploads, kept in IndexedDB so that a reload does not lose them. Called by `uploads`, and by `main` when the
// page opens or somebody signs out. An upload belongs to an owner, and only that owner's page resumes it. It never sends
// anything. Without IndexedDB, or if the browser's quota is used up, uploads work but do not survive a reload.
//
// Uppy has a plugin for this (Golden Retriever). It knows no owners, and it keeps files by ids that change here with every
// try.

const DATABASE = 'gatepost-queue'
const STORE = 'uploads'
/** Older uploads are forgotten: nobody expects them to start. */
const MOST_MS = 24 * 60 * 60 * 1000

export type Kept = {
  readonly key: string
  readonly owner: string
  readonly file: File
  /** In milliseconds since 1970. */
  readonly addedAt: number
  /** The server's ids for it, the latest last. */
  ids: string[]
  /** Whether storage has confirmed the last of them. */
  hasArrived: boolean
}

export class Queue {
  #database: Promise<IDBDatabase> | undefined
  /** Ends the hold of each kept upload of this tab. */
  readonly #held = new Map<string, () => void>()
  #isClosed = false

  constructor(private readonly owner: string | null) {}

  /** Keeps a file; returns the key of its place, or `undefined` if the browser does not keep it. */
  async keep(file: File): Promise<string | undefined> {
    const key = crypto.randomUUID()
    try {
      await this.#hold(key)
      if (this.#isClosed || this.owner === null) throw new Error('signed out')
      const kept: Kept = { key, owner: this.owner, file, addedAt: Date.now(), ids: [], hasArrived: false }
      await this.#run('readwrite', (store) => store.add(kept))
      return key
    } catch {
      this.#release(key)
      return undefined
    }
  }

  /** Notes how far an upload is. One that was forgotten meanwhile stays forgotten. */
  async note(key: string, progress: Pick<Kept, 'ids' | 'hasArrived'>): Promise<void> {
    await this.#run('readwrite', (store) => {
      const request = store.get(key)
      request.onsuccess = () => {
        if (request.result) store.put({ ...request.result, ...progress, ids: [...progress.ids] })
      }
      return request
    }).catch(() => {})
  }

  async forget(key: string): Promise<void> {
    await this.#run('readwrite', (store) => store.delete(key)).catch(() => {})
    this.#release(key)
  }

  /**
   * Passes on the uploads of this owner, oldest first, each as soon as no other tab has it. Those of others and old ones
   * are deleted.
   */
  async resume(take: (kept: Kept) => void): Promise<void> {
    // If this fails, nothing is kept here.
    const all: Kept[] = await this.#run('readonly', (store) => store.getAll()).catch(() => [])
    for (const kept of all.sort((one, other) => one.addedAt - other.addedAt)) {
      if (kept.owner !== this.owner || isOld(kept)) await this.forget(kept.key)
      else void this.#takeOver(kept.key, take)
    }
  }

  async #takeOver(key: string, take: (kept: Kept) => void): Promise<void> {
    await this.#hold(key)
    // The other tab may have finished it, or have gone on with it until now.
    const latest: Kept | undefined = await this.#run('readonly', (store) => store.get(key)).catch(() => undefined)
    if (latest && !this.#isClosed) take(latest)
    else this.#release(key)
  }

  /** Forgets everything and keeps nothing more: the person has signed out. */
  async clear(): Promise<void> {
    this.#isClosed = true
    await this.#run('readwrite', (store) => store.clear()).catch(() => {})
  }

  /** Forgets what is too old. Nobody is signed in, so that nobody else would. */
  async forgetOld(): Promise<void> {
    const all: Kept[] = await this.#run('readonly', (store) => store.getAll()).catch(() => [])
    for (const kept of all.filter(isOld)) await this.forget(kept.key)
  }

  /** Holds a place until it is forgotten or the tab ends; resolves when no other tab holds it any more. */
  #hold(key: string): Promise<void> {
    return new Promise((resolve, reject) => {
      navigator.locks
        .request(`${DATABASE}-${key}`, () => {
          resolve()
          return new Promise<void>((end) => this.#held.set(key, end))
        })
        .catch(reject)
    })
  }

  #release(key: string): void {
    this.#held.get(key)?.()
    this.#held.delete(key)
  }

  async #run<Result>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<Result>): Promise<Result> {
    this.#database ??= open()
    const transaction = (await this.#database).transaction(STORE, mode)
    const request = act(transaction.objectStore(STORE))
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = () => reject(transaction.error)
    })
  }
}

function isOld({ addedAt }: Kept): boolean {
  return Date.now() - addedAt > MOST_MS
}

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1)
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' })
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
