// Makes the inputs of a run: keys, the JWK Set of their public halves, and the configuration for packaging Gatepost.
// Nothing of it is kept in the repository.
//
//     node prepare.mjs --work DIR

import { generateKeyPairSync } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { ADMIN_SCOPE, AUDIENCE, COOKIE, ISSUER } from './peers/policy.mjs';

const CONFIGURATION = `# Made by prepare.mjs for one run of the benchmark.

[[issuers]]
issuer     = "${ISSUER}"
audiences  = ["${AUDIENCE}"]
algorithms = ["RS256", "ES256", "EdDSA"]
jwks       = { file = "jwks.json" }

[token]
from = ["authorization", "cookie:${COOKIE}"]

[[rules]]
path  = "/media/{owner}/**"
allow = "owner"

[[rules]]
path   = "/admin/**"
scopes = ["${ADMIN_SCOPE}"]

[[rules]]
path  = "/public/**"
allow = "anyone"
`;

const { values } = parseArgs({ options: { work: { type: 'string' } } });
if (!values.work) {
  console.error('usage: node prepare.mjs --work DIR');
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

mkdirSync(values.work, { recursive: true });
write('jwks.json', { keys: pairs.map((pair) => pair.public) });
write(
  'keys.json',
  {
    note: 'Private keys made for one run of the benchmark. Nothing trusts them; delete them after the run.',
    keys: pairs.map((pair) => ({ alg: pair.alg, jwk: pair.private })),
  },
  0o600,
);
writeFileSync(join(values.work, 'gatepost.toml'), CONFIGURATION);
console.error(`written to ${values.work}: gatepost.toml, jwks.json, keys.json`);

function write(name, content, mode = 0o644) {
  const path = join(values.work, name);
  writeFileSync(path, `${JSON.stringify(content, null, 2)}\n`, { mode });
  // The mode above applies only to a new file.
  chmodSync(path, mode);
}
