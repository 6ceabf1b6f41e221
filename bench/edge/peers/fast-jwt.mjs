// The handler over fast-jwt, with one verifier per key. With a function that returns keys, the library would verify
// asynchronously and parse the key's PEM for every token.

import { createPublicKey } from 'node:crypto';

import { createVerifier } from 'fast-jwt';

import { AUDIENCE, handlerOver, ISSUER } from './policy.mjs';

/** The maximum number of cached headers. An issuer's tokens have one per key. */
const MAX_HEADERS = 16;

/**
 * A handler that trusts the keys of this JWK Set.
 *
 * `caching` are the library's options for its cache: `cache`, which is off by default, and `cacheKeyBuilder`.
 */
export function createHandler(jwks, caching = {}) {
  const verifiers = new Map(jwks.keys.map((jwk) => [jwk.kid, verifierOf(jwk, caching)]));
  // All tokens signed with one key begin with the same text: for a known one nothing must be decoded twice.
  const verifiersByHeader = new Map();
  return handlerOver((token) => {
    const header = token.slice(0, token.indexOf('.'));
    const known = verifiersByHeader.get(header);
    if (known) return known(token);
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString());
    const verifier = verifiers.get(kid);
    if (!verifier) throw new Error('no key has this kid');
    const claims = verifier(token);
    // Cached only after verification: requests without a valid token cannot fill the map.
    if (verifiersByHeader.size < MAX_HEADERS) verifiersByHeader.set(header, verifier);
    return claims;
  });
}

function verifierOf(jwk, caching) {
  return createVerifier({
    key: createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }),
    algorithms: [jwk.alg],
    allowedIss: ISSUER,
    allowedAud: AUDIENCE,
    // Without this a missing claim would not be checked.
    requiredClaims: ['iss', 'aud', 'exp'],
    ...caching,
  });
}
