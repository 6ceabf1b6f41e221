// Makes gate.min.js of gate.js: shorter names, no comments. `npm run gate` in web/ runs it; a test of the page's tests
// compares the result with the committed file.
//
// The minifier is that of the page's bundler. It only renames: rewriting syntax could bring forms that CloudFront's
// JavaScript runtime 2.0 lacks.

import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const here = new URL('.', import.meta.url)

// The minified text of a file of this folder.
export async function minified(name) {
  const inWeb = createRequire(new URL('../../web/package.json', here))
  const inVite = createRequire(inWeb.resolve('vite/package.json'))
  const { minifySync } = await import(pathToFileURL(inVite.resolve('rolldown/utils')))
  const source = readFileSync(new URL(name, here), 'utf8')
  const { code, errors } = minifySync(name, source, {
    module: true,
    compress: false,
    mangle: { toplevel: true },
    codegen: { removeWhitespace: true },
  })
  if (errors.length > 0) throw new Error(JSON.stringify(errors))
  // CloudFront calls the function of the name `handler`, and a function has no exports.
  const exported = /;?export\{(\w+) as handler\};?$|export (async function handler)/.exec(code)
  if (!exported) throw new Error('gate.js does not export handler')
  return exported[1]
    ? `${code.slice(0, exported.index)};const handler=${exported[1]};`
    : code.replace('export async function handler', 'async function handler')
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(new URL('gate.min.js', here), `${await minified('gate.js')}\n`)
}
