// Test helpers: the package unpacked into a folder with a test configuration, tokens, events.

import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const ISSUER = 'https://login.example.com/';
/** A key made for this run. */
const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
/** The secret of these tests. */
export const SECRET = Buffer.alloc(32, 'gatepost test secret');

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** The public key as a JWK Set, under as many names as are given. */
export function keySet(...kids) {
  const jwk = key.publicKey.export({ format: 'jwk' });
  return { keys: kids.map((kid) => ({ ...jwk, kid })) };
}

export function config(changes = {}, issuer = {}) {
  return {
    issuers: [
      { issuer: ISSUER, audiences: { one_of: ['media'] }, algorithms: ['ES256'], jwks: keySet('known'), ...issuer },
    ],
    token_sources: ['authorization', { cookie: '__Host-gatepost' }],
    rules: [
      { path: '/members/**', access: 'authenticated' },
      { path: '/public/**', access: 'anyone' },
    ],
    ...changes,
  };
}

/** The runtime with this configuration. Each has its own addon, because a process is configured once. */
export async function runtime(configuration) {
  const folder = mkdtempSync(join(tmpdir(), 'gatepost-runtime-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const from = process.env.GATEPOST_PACKAGE;
  if (!from) throw new Error('GATEPOST_PACKAGE names the folder of an unpacked edge-auth.zip');
  for (const file of ['edge-auth.node', 'index.mjs']) copyFileSync(join(from, file), join(folder, file));
  const text = typeof configuration === 'string' ? configuration : JSON.stringify(configuration);
  writeFileSync(join(folder, 'config.json'), text);
  return import(pathToFileURL(join(folder, 'index.mjs')));
}

export function claims(changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  return { iss: ISSUER, aud: 'media', sub: 'alice', exp: now + 3600, ...changes };
}

export function token(kid = 'known', changes = {}) {
  const input = `${encode({ alg: 'ES256', kid })}.${encode(claims(changes))}`;
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

export function hs256(changes = {}) {
  const input = `${encode({ alg: 'HS256' })}.${encode(claims(changes))}`;
  return `${input}.${createHmac('sha256', SECRET).update(input).digest('base64url')}`;
}

export function event(uri, headers = {}) {
  const lines = Object.entries(headers).map(([name, value]) => [name, [{ key: name, value }]]);
  return {
    Records: [
      {
        cf: {
          config: { distributionId: 'EXAMPLE', eventType: 'viewer-request', requestId: 'request-1' },
          request: { clientIp: '203.0.113.1', method: 'GET', uri, querystring: '', headers: Object.fromEntries(lines) },
        },
      },
    ],
  };
}

/** The lines that a function prints, and its result. */
export async function withLog(run) {
  const write = process.stdout.write;
  const log = [];
  process.stdout.write = (text, ...rest) => {
    // The test runner reports on the same stream.
    if (typeof text !== 'string' || !text.startsWith('{')) return write.call(process.stdout, text, ...rest);
    log.push(JSON.parse(text));
    return true;
  };
  try {
    return { answer: await run(), log };
  } finally {
    process.stdout.write = write;
  }
}
