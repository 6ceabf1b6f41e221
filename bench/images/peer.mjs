// sharp as in its manual: one pipeline per size, otherwise its defaults, on one thread.
//
//     node peer.mjs thumbnails SOURCE FORMAT QUALITY OUT REPEAT WIDTH...
//     node peer.mjs photo SOURCE OUT PIXELS

import { readFile, writeFile } from 'node:fs/promises';
import { extname } from 'node:path';

import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);

const [what, source, ...rest] = process.argv.slice(2);
if (what === 'photo') await photo(source, ...rest);
else await thumbnails(source, ...rest);

async function thumbnails(source, format, quality, out, repeat, ...widths) {
  for (let round = 0; round < Number(repeat); round += 1) {
    const input = await readFile(source);
    for (const width of widths.map(Number)) {
      const file = await sharp(input)
        .autoOrient()
        .resize(width)
        [format]({ quality: Number(quality) })
        .toBuffer();
      await writeFile(`${out}-${width}.${format === 'jpeg' ? 'jpg' : format}`, file);
    }
  }
}

/** A photo with this many pixels, as a phone would save it; as PNG and WebP with sharp's defaults, at quality 92. */
async function photo(source, out, pixels) {
  const { width, height } = await sharp(source).metadata();
  const scale = Math.sqrt(Number(pixels) / (width * height));
  await sharp(source)
    .resize(Math.round(width * scale), Math.round(height * scale), { fit: 'fill' })
    .toFormat(extname(out).slice(1), out.endsWith('.png') ? {} : { quality: 92 })
    .toFile(out);
}
