// Photos that are drawn at run time, for tests that need small or different ones, and for the benches. Drawn in a page of
// the browser, which has an encoder. It never uploads.

/**
 * A picture that compresses like a photo: noise in all sizes, the finer the fainter. Each seed gives another picture.
 */
export async function draw(page, { width = 640, height = 480, seed = 1, type = 'image/jpeg' } = {}) {
  const base64 = await page.evaluate(
    async ({ width, height, seed, type }) => {
      let state = seed
      // The generator mulberry32.
      const random = () => {
        state = (state + 0x6d2b79f5) | 0
        let mixed = Math.imul(state ^ (state >>> 15), state | 1)
        mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
        return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
      }
      const noiseOf = (columns, rows) => {
        const canvas = new OffscreenCanvas(columns, rows)
        const context = canvas.getContext('2d')
        const noise = context.createImageData(columns, rows)
        for (let at = 0; at < noise.data.length; at++) noise.data[at] = at % 4 === 3 ? 255 : 256 * random()
        context.putImageData(noise, 0, 0)
        return canvas
      }
      const canvas = new OffscreenCanvas(width, height)
      const context = canvas.getContext('2d')
      // Each layer covers a quarter of the finer ones below it.
      for (let cell = 1; cell <= width / 4; cell *= 2) {
        context.globalAlpha = cell === 1 ? 1 : 0.25
        context.drawImage(noiseOf(Math.ceil(width / cell), Math.ceil(height / cell)), 0, 0, width, height)
      }
      const blob = await canvas.convertToBlob({ type, quality: 0.9 })
      const bytes = new Uint8Array(await blob.arrayBuffer())
      return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
    },
    { width, height, seed, type },
  )
  return Buffer.from(base64, 'base64')
}
