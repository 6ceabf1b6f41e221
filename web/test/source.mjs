// Loads a module of the page's TypeScript for the unit tests, through Vite, so that they need no other
// tool than the build does. Used by every test in this folder.

import { fileURLToPath } from 'node:url'

import { runnerImport } from 'vite'

export async function source(name) {
  const path = fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))
  const { module } = await runnerImport(path, { configFile: false, logLevel: 'error' })
  return module
}
