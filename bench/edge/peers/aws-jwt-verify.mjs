// The handler over aws-jwt-verify. Its keys are given rather than fetched, so that it can verify synchronously.

import { JwtVerifier } from 'aws-jwt-verify';

import { AUDIENCE, handlerOver, ISSUER } from './policy.mjs';

/** A handler that trusts the keys of this JWK Set. */
export function createHandler(jwks) {
  const verifier = JwtVerifier.create({ issuer: ISSUER, audience: AUDIENCE });
  verifier.cacheJwks(jwks);
  return handlerOver((token) => {
    const claims = verifier.verifySync(token);
    // The library accepts a token without `exp` as one that never expires.
    if (claims.exp === undefined) throw new Error('claim exp is missing');
    return claims;
  });
}
