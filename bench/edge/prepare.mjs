// Makes the inputs of a run: keys, the JWK Set of their public halves, and Gatepost's handler with its configuration, as
// `gatepost package` lays it out. Nothing of it is kept in the repository.
//
//     node prepare.mjs --work DIR --addon FILE --handler FILE
//
// `--addon` is the library of the crate in edge-auth/ that Node.js loads; `--handler` is its index.mjs.

import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { ADMIN_SCOPE, AUDIENCE, COOKIE, ISSUER } from './peers/policy.mjs';

const { values } = parseArgs({
  options: { work: { type: 'string' }, addon: { type: 'string' }, handler: { type: 'string' } },
});
if (!values.work || !values.addon || !values.handler) {
  console.error('usage: node prepare.mjs --work DIR --addon FILE --handler FILE');
  process.exit(2);
}

const pairs = [
  ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['EdDSA', generateKeyPairSync('ed25519')],
].map(([alg, { publicKey, privateKey }]) => {
  const named = (key) => ({ ...key.export({ format: 'jwk' }), kid: `bench-${alg.toLowerCase()}` });
  return { alg, public: { ...named(publicKey), alg, use: 'sig' }, private: named(privateKey) };
});

const jwks = { keys: pairs.map((pair) => pair.public) };
const ours = join(values.work, 'ours');
mkdirSync(ours, { recursive: true });
write('jwks.json', jwks);
write(
  'keys.json',
  {
    note: 'Private keys made for one run of the benchmark. Nothing trusts them; delete them after the run.',
    keys: pairs.map((pair) => ({ alg: pair.alg, jwk: pair.private })),
  },
  0o600,
);
write('ours/config.json', configuration(jwks));
copyFileSync(values.addon, join(ours, 'edge-auth.node'));
copyFileSync(values.handler, join(ours, 'index.mjs'));
console.error(`written to ${values.work}: jwks.json, keys.json, ours/`);

/** The policy that the peers implement, as the configuration of `edge-auth`. */
function configuration(jwks) {
  return {
    issuers: [{ issuer: ISSUER, audiences: { one_of: [AUDIENCE] }, algorithms: ['RS256', 'ES256', 'EdDSA'], jwks }],
    token_sources: ['authorization', { cookie: COOKIE }],
    rules: [
      { path: '/media/{owner}/**', access: 'owner' },
      { path: '/admin/**', access: { scopes: [ADMIN_SCOPE] } },
      { path: '/public/**', access: 'anyone' },
    ],
  };
}

function write(name, content, mode = 0o644) {
  const path = join(values.work, name);
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode });
  // The mode above applies only to a new file.
  chmodSync(path, mode);
}
