// Times Lambda@Edge viewer-request handlers side by side: event in, request or response out.
//
//     node run.mjs --work DIR --ours DIR --bare FILE [--format table|json] [--seconds N]
//
// `--work` is the output of `prepare.mjs`; `--ours` is the folder of Gatepost's `index.mjs` in it; `--bare` is the program of `edge-auth/examples/bare_verification.rs`.

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

import { bareVerification } from './bare.mjs';
import { ownerEvents, signingKeys } from './events.mjs';
import { assertSameAnswers } from './gate.mjs';
import { bundle, timeFirstDecisions } from './loading.mjs';
import { createHandler as overAwsJwtVerify } from './peers/aws-jwt-verify.mjs';
import { createHandler as overFastJwt } from './peers/fast-jwt.mjs';
import { reporter } from './report.mjs';
import { timeDecisions } from './timing.mjs';

/** Decisions per batch: enough to evict a generation of Gatepost's cache, which costs time too. */
const BATCH = 1024;
/**
 * The number of new tokens per algorithm. Rounds take them in order, one batch per round, and start again after the
 * last. Gatepost caches the 2000 most recent tokens at most: before a token comes again, all others have come, so it is
 * new again. The peers of these rows have no cache.
 */
const NEW_TOKENS = 5 * BATCH;
/** More tokens than the cache of any contestant in the rows for new tokens. */
const FORGOTTEN_AFTER = 4096;
const SEEN_TOKENS = 50;

const options = readOptions();
try {
  await main(options);
} catch (error) {
  console.error(`bench/edge: ${error.message}`);
  process.exitCode = 1;
}

async function main({ work, ours: folder, bare: program, format, seconds }) {
  if (NEW_TOKENS - BATCH < FORGOTTEN_AFTER)
    throw new Error('NEW_TOKENS is too small: cached tokens would be timed as new ones');
  withoutCacheKeyWarning();
  const jwks = read(work, 'jwks.json');
  const keys = signingKeys(read(work, 'keys.json').keys);
  const ours = { name: 'gatepost', file: join(folder, 'index.mjs') };
  ours.handler = (await load(ours.file)).handler;
  const awsJwtVerify = { name: nameOf('aws-jwt-verify'), handler: overAwsJwtVerify(jwks) };
  const fastJwt = { name: nameOf('fast-jwt'), handler: overFastJwt(jwks) };
  const cached = { name: `${fastJwt.name}, cache`, handler: overFastJwt(jwks, { cache: true }) };
  // The manual's advice if the cache's memory cannot leak: no hash, the token is the key.
  const keyed = {
    name: `${fastJwt.name}, cache keyed by the token`,
    handler: overFastJwt(jwks, { cache: true, cacheKeyBuilder: (token) => token }),
  };
  const bundled = { name: `${awsJwtVerify.name}, bundled`, file: await bundle(work) };
  bundled.handler = (await load(bundled.file)).handler;

  await assertSameAnswers([ours, awsJwtVerify, fastJwt, cached, keyed, bundled], keys);

  const report = reporter(format);
  report.about({
    node: process.versions.node,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    batch: BATCH,
    seconds,
  });
  // Started only after all have given the same answers: a process that waits for tokens would keep a failed run alive.
  const bare = bareVerification(program, join(work, 'jwks.json'));
  for (const [alg, key] of keys) {
    const texts = ownerEvents(key, NEW_TOKENS);
    const textsOf = (round) => {
      const start = (round * BATCH) % NEW_TOKENS;
      return texts.slice(start, start + BATCH);
    };
    const figures = await timeDecisions([ours, bare, awsJwtVerify, fastJwt], textsOf, seconds);
    report.row({ id: `new-${alg}`, title: `new tokens, ${alg}`, unit: 'µs', figures });
  }

  const seen = ownerEvents(keys.get('RS256'), SEEN_TOKENS);
  const batch = Array.from({ length: BATCH }, (_, idx) => seen[idx % SEEN_TOKENS]);
  const figures = await timeDecisions([ours, awsJwtVerify, cached, keyed], () => batch, seconds);
  report.row({ id: 'seen-RS256', title: `${SEEN_TOKENS} tokens seen before, RS256`, unit: 'µs', figures });

  bare.end();

  const firsts = timeFirstDecisions([ours, bundled], seen[0], seconds);
  report.row({ id: 'first-RS256', title: 'load and first decision, RS256', unit: 'ms', figures: firsts });
}

function readOptions() {
  const usage = 'usage: node run.mjs --work DIR --ours DIR --bare FILE [--format table|json] [--seconds N]';
  try {
    const { values } = parseArgs({
      options: {
        work: { type: 'string' },
        ours: { type: 'string' },
        bare: { type: 'string' },
        format: { type: 'string', default: 'table' },
        seconds: { type: 'string', default: '5' },
      },
    });
    const { work, ours, bare, format } = values;
    const seconds = Number(values.seconds);
    if (!work || !ours || !bare) throw new Error('--work, --ours and --bare are needed');
    if (!['table', 'json'].includes(format)) throw new Error(`there is no format ${format}`);
    if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds} is not a time`);
    return { work: resolve(work), ours: resolve(ours), bare: resolve(bare), format, seconds };
  } catch (error) {
    console.error(`bench/edge: ${error.message}\n${usage}`);
    process.exit(2);
  }
}

function read(work, name) {
  try {
    return JSON.parse(readFileSync(join(work, name), 'utf8'));
  } catch (error) {
    throw new Error(`${name} cannot be read; run prepare.mjs with the same --work first (${error.message})`);
  }
}

async function load(file) {
  const module = await import(pathToFileURL(file));
  if (typeof module.handler !== 'function') throw new Error(`${file} exports no handler`);
  return module;
}

/** The name of a library with its installed version. */
function nameOf(library) {
  const manifest = new URL(`node_modules/${library}/package.json`, import.meta.url);
  return `${library} ${JSON.parse(readFileSync(manifest, 'utf8')).version}`;
}

/** fast-jwt warns about every custom cache key. Here it is the token itself, which is unique. */
function withoutCacheKeyWarning() {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.code === 'FAST_JWT_CACHE_KEY_BUILDER_SECURITY_RISK') return;
    for (const listener of listeners) listener(warning);
  });
}
