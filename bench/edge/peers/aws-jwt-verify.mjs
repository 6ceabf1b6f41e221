// The handler over aws-jwt-verify. Its keys are given and not fetched, so that it may verify without a promise.

import { JwtVerifier } from 'aws-jwt-verify';

import { AUDIENCE, handlerOver, ISSUER } from './policy.mjs';

/** A handler that trusts the keys of this JWK Set. */
export function createHandler(jwks) {
  const verifier = JwtVerifier.create({ issuer: ISSUER, audience: AUDIENCE });
  verifier.cacheJwks(jwks);
  return handlerOver((token) => {
    const claims = verifier.verifySync(token);
    // The library takes a token without an end of its time for one that never ends.
    if (claims.exp === undefined) throw new Error('claim exp is missing');
    return claims;
  });
}
