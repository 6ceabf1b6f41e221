// Small previews of chosen files, two at a time: a photo of a phone takes 60 MB while it is decoded, and a hundred of them
// at once would take the tab down. Called by `upload-list`. It never keeps a picture larger than the preview.

/** Twice the width of the frame, for dense screens. */
const SIDE = 120
const AT_ONCE = 2

const waiting: (() => void)[] = []
let nBusy = 0

/** The preview, or `null` if the file is not a picture or is not wanted any more when its turn comes. */
export async function previewOf(file: Blob, isWanted: () => boolean): Promise<HTMLCanvasElement | null> {
  if (nBusy === AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve))
  else nBusy += 1
  try {
    return isWanted() ? await draw(file) : null
  } catch {
    return null
  } finally {
    const next = waiting.shift()
    if (next) next()
    else nBusy -= 1
  }
}

async function draw(file: Blob): Promise<HTMLCanvasElement> {
  // Scaled while it is decoded, away from the page's thread; an image element would keep the large one.
  const bitmap = await createImageBitmap(file, { resizeHeight: SIDE, resizeQuality: 'medium' })
  const canvas = document.createElement('canvas')
  canvas.width = SIDE
  canvas.height = SIDE
  // The frame shows the middle of the picture.
  const scale = Math.max(SIDE / bitmap.width, 1)
  const [width, height] = [bitmap.width * scale, bitmap.height * scale]
  canvas.getContext('2d')?.drawImage(bitmap, (SIDE - width) / 2, (SIDE - height) / 2, width, height)
  bitmap.close()
  return canvas
}
