// The shape of a published picture, as the API answers with it, and values derived from it. Used by gallery, lightbox and
// uploads. It never fetches.

export type Rendition = {
  /** Its name in `media/{owner}/{id}/manifest.json`. */
  path: string
  /** The address to load it from: the path, or a signed URL that expires. */
  url: string
  type: string
  width: number
  height: number
  bytes: number
}

export type Manifest = {
  id: string
  owner: string
  status: 'ready'
  source: { type: string; width: number; height: number; bytes: number }
  renditions: Rendition[]
  /** A thumbhash in base64. */
  placeholder?: string
  created_at: string
}

/** The renditions of the best format that every supported browser can show, smallest first. */
export function bestRenditions(manifest: Manifest): Rendition[] {
  const best = FORMATS.find((type) => manifest.renditions.some((rendition) => rendition.type === type))
  return manifest.renditions
    .filter((rendition) => best === undefined || rendition.type === best)
    .sort((a, b) => a.width - b.width)
}

/** A `srcset` value. */
export function srcset(renditions: Rendition[]): string {
  return renditions.map(({ url, width }) => `${url} ${width}w`).join(', ')
}

/** Width over height, limited to a range in which a tile is not a sliver. */
export function tileRatio({ source }: Manifest): number {
  const ratio = source.width / source.height
  return Number.isFinite(ratio) && ratio > 0 ? Math.min(2.4, Math.max(0.6, ratio)) : 1
}

const FORMATS = ['image/avif', 'image/webp', 'image/jpeg', 'image/png']
