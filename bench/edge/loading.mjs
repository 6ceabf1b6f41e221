// The clock for a cold start: from before the import to the first answer, in a fresh process every time.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

import { build } from 'esbuild';

import { isForwarded } from './events.mjs';
import { summary } from './timing.mjs';

const MIN_ROUNDS = 7;

/** The peer as it would be deployed: one minified file with its keys. */
export async function bundle(work) {
  const outfile = join(work, 'bundle', 'index.mjs');
  await build({
    stdin: {
      contents: `
        import jwks from ${JSON.stringify(join(work, 'jwks.json'))};
        import { createHandler } from './peers/aws-jwt-verify.mjs';
        export const handler = createHandler(jwks);`,
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    bundle: true,
    minify: true,
    platform: 'node',
    target: 'node20',
    format: 'esm',
    outfile,
    logLevel: 'warning',
  });
  return outfile;
}

/** Times contestants (`{name, file}`, Gatepost first) in turn until the time is over. */
export function timeFirstDecisions(contestants, text, seconds) {
  const samples = contestants.map(() => []);
  // The first round brings the files into the system's page cache.
  for (const contestant of contestants) firstDecision(contestant, text);
  const end = performance.now() + seconds * 1000;
  for (let round = 0; round < MIN_ROUNDS || performance.now() < end; round += 1) {
    for (let turn = 0; turn < contestants.length; turn += 1) {
      const idx = (round + turn) % contestants.length;
      samples[idx].push(firstDecision(contestants[idx], text));
    }
  }
  return contestants.map(({ name }, idx) => summary(name, samples[idx], samples[0]));
}

/** The time in milliseconds. */
function firstDecision({ name, file }, text) {
  const script = fileURLToPath(new URL('first-decision.mjs', import.meta.url));
  // The caller's settings for loading would affect one kind of file more than another.
  const { NODE_OPTIONS, NODE_COMPILE_CACHE, ...env } = process.env;
  const output = execFileSync(process.execPath, [script, pathToFileURL(file).href, text], { env, encoding: 'utf8' });
  const { ms, answer } = JSON.parse(output);
  if (!isForwarded(answer)) throw new Error(`${name} refused the first request, which it should have allowed`);
  return ms;
}
