// How the page is built: two HTML files, everything else under /assets/ with a content hash in its
// name, so that a server may let browsers keep it for ever. Called by `npm run build` and by
// whoever embeds the page with `--outDir`. It never fetches anything and never stamps a time.

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
