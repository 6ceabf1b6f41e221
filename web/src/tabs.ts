// What the tabs of a browser tell each other about photos: one is ready, or one was deleted. Called by `main`. News of
// another person is not passed on: a tab may still be open as somebody who has signed out.

import type { Manifest } from './manifest'

type News = { owner: string; ready?: Manifest; deletedId?: string }

export class Tabs {
  readonly #channel = new BroadcastChannel('gatepost-photos')

  constructor(
    private readonly owner: string,
    listener: { onReady(manifest: Manifest): void; onDeleted(id: string): void },
  ) {
    this.#channel.addEventListener('message', ({ data }: MessageEvent<News>) => {
      if (data.owner !== owner) return
      if (data.ready) listener.onReady(data.ready)
      if (data.deletedId) listener.onDeleted(data.deletedId)
    })
  }

  ready(manifest: Manifest): void {
    this.#tell({ owner: this.owner, ready: manifest })
  }

  deleted(id: string): void {
    this.#tell({ owner: this.owner, deletedId: id })
  }

  #tell(news: News): void {
    this.#channel.postMessage(news)
  }
}
