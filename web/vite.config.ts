// The build of the page: two HTML files, everything else under /assets/ with a content hash in its name, so that a
// server may let browsers cache it permanently. Called by `npm run build` and, with `--outDir`, by builds that embed
// the page. It never fetches anything and never adds a timestamp, so builds are reproducible.

import { defineConfig } from 'vite'

export default defineConfig({
  base: '/',
  publicDir: false,
  build: {
    target: 'es2022',
    outDir: 'dist',
    emptyOutDir: true,
    assetsDir: 'assets',
    // The polyfill would be an inline script, which the content security policy refuses.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      input: { index: 'index.html', 'sign-in': 'sign-in.html' },
    },
  },
})
