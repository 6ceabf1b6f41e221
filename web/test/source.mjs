// Loads modules of the page's TypeScript for the unit tests, through Vite, so that they need no other tool than the
// build. Used by every test in this folder.

import { fileURLToPath } from 'node:url'

import { runnerImport } from 'vite'

/** The exports of the modules; modules loaded together share their classes. */
export async function source(...names) {
  const paths = names.map((name) => fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url)))
  const all = {
    name: 'all',
    resolveId: (id) => (id === 'virtual:all' ? id : undefined),
    load: (id) =>
      id === 'virtual:all' ? paths.map((path) => `export * from ${JSON.stringify(path)}`).join('\n') : undefined,
  }
  const { module } = await runnerImport('virtual:all', { configFile: false, logLevel: 'error', plugins: [all] })
  return module
}
