// Times Lambda@Edge viewer-request handlers side by side: event in, request or response out.
//
//     node run.mjs --work DIR --ours DIR --bare FILE [--format table|json] [--seconds N]
//
// `--work` is what `prepare.mjs` wrote; `--ours` holds Gatepost's `index.mjs`, packaged with the configuration in it;
// `--bare` is the program of `edge-auth/examples/bare_verification.rs`.

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

/** Decisions in a batch: enough for Gatepost to forget a half of what it remembers, which costs time too. */
const BATCH = 1024;
/**
 * New tokens of an algorithm. Rounds take them in order, a batch a round, and begin anew when all were used. Gatepost
 * remembers at most 2000 tokens, those that it saw last: before a token comes again, all others have come, and it is
 * as new as it was at first. The peers of these rows remember none.
 */
const NEW_TOKENS = 5 * BATCH;
/** More tokens than any contestant of the rows for new tokens remembers. */
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
  if (NEW_TOKENS - BATCH < FORGOTTEN_AFTER) throw new Error('there are too few new tokens for them to be new');
  withoutCacheKeyWarning();
  const jwks = read(work, 'jwks.json');
  const keys = signingKeys(read(work, 'keys.json').keys);
  const ours = { name: 'gatepost', file: join(folder, 'index.mjs') };
  ours.handler = (await load(ours.file)).handler;
  const awsJwtVerify = { name: nameOf('aws-jwt-verify'), handler: overAwsJwtVerify(jwks) };
  const fastJwt = { name: nameOf('fast-jwt'), handler: overFastJwt(jwks) };
  const cached = { name: `${fastJwt.name}, cache`, handler: overFastJwt(jwks, { cache: true }) };
  // What the library's manual advises where memory is not a place that leaks: no hash, the token is the key.
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
  // Not before all have answered alike: a process that waits for tokens would keep a run that failed from ending.
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
    if (!(seconds > 0)) throw new Error(`--seconds ${values.seconds} is no time`);
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

/** A library with the version that is installed. */
function nameOf(library) {
  const manifest = new URL(`node_modules/${library}/package.json`, import.meta.url);
  return `${library} ${JSON.parse(readFileSync(manifest, 'utf8')).version}`;
}

/** fast-jwt warns about every cache key of one's own. Ours is the token itself: no two tokens share it. */
function withoutCacheKeyWarning() {
  const listeners = process.listeners('warning');
  process.removeAllListeners('warning');
  process.on('warning', (warning) => {
    if (warning.code === 'FAST_JWT_CACHE_KEY_BUILDER_SECURITY_RISK') return;
    for (const listener of listeners) listener(warning);
  });
}
