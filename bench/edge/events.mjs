// The events that are timed: tokens like an identity provider's, in requests like a browser's.

import { createPrivateKey, randomUUID, sign } from 'node:crypto';

import { AUDIENCE, ISSUER, OWNER_HEADER, ownerOf } from './peers/policy.mjs';

export const HOST = 'media.example.com';

/** The signing keys that `prepare.mjs` wrote, by algorithm. */
export function signingKeys(keys) {
  return new Map(
    keys.map(({ alg, jwk }) => [alg, { alg, kid: jwk.kid, key: createPrivateKey({ key: jwk, format: 'jwk' }) }]),
  );
}

/** A token's claims; `changes` replace them, and undefined ones are omitted. */
export function claims(changes = {}) {
  const now = Math.floor(Date.now() / 1000);
  return {
    iss: ISSUER,
    sub: `idp|${randomUUID()}`,
    aud: [AUDIENCE, `${ISSUER}userinfo`],
    exp: now + 24 * 3600,
    nbf: now - 60,
    iat: now - 60,
    jti: randomUUID(),
    azp: 'Qm9va3NoZWxmLXdlYi1hcHAtMDE',
    scope: 'openid profile email media:read',
    groups: ['family', 'holiday-2026'],
    email: 'someone@example.com',
    ...changes,
  };
}

/** A compact JWS over these claims. */
export function token({ alg, kid, key }, payload, header = {}) {
  const input = `${encode({ alg, typ: 'JWT', kid, ...header })}.${encode(payload)}`;
  return `${input}.${signature(alg, Buffer.from(input), key).toString('base64url')}`;
}

function signature(alg, input, key) {
  switch (alg) {
    case 'RS256':
      return sign('sha256', input, key);
    case 'ES256':
      return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' });
    case 'EdDSA':
      return sign(null, input, key);
    default:
      throw new Error(`there is no key for ${alg}`);
  }
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A viewer-request event. `headers` are added to a browser's usual ones. */
export function event(uri, headers = {}, method = 'GET') {
  const lines = {
    Host: HOST,
    'User-Agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    Accept: 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5',
    'Accept-Language': 'en-GB,en;q=0.7,de;q=0.3',
    'Accept-Encoding': 'gzip, deflate, br, zstd',
    'X-Forwarded-For': '203.0.113.178',
    Via: '2.0 3f2e1d0c9b8a79685746352413021fed.cloudfront.net (CloudFront)',
    Referer: `https://${HOST}/albums/holiday`,
    'Sec-Fetch-Dest': 'empty',
    'Sec-Fetch-Mode': 'cors',
    'Sec-Fetch-Site': 'same-origin',
    ...headers,
  };
  return {
    Records: [
      {
        cf: {
          config: {
            distributionDomainName: 'd111111abcdef8.cloudfront.net',
            distributionId: 'EDFDVBD6EXAMPLE',
            eventType: 'viewer-request',
            requestId: randomUUID(),
          },
          request: {
            clientIp: '203.0.113.178',
            headers: Object.fromEntries(
              Object.entries(lines).map(([key, value]) => [key.toLowerCase(), [{ key, value }]]),
            ),
            method,
            querystring: '',
            uri,
          },
        },
      },
    ],
  };
}

/** This many events as JSON, each with a different token for a picture of its owner. */
export function ownerEvents(key, count) {
  return Array.from({ length: count }, () => {
    const payload = claims();
    const uri = mediaPath(ownerOf(payload.iss, payload.sub));
    return JSON.stringify(event(uri, { Authorization: `Bearer ${token(key, payload)}` }));
  });
}

/** The path of an owner's picture. */
export function mediaPath(owner) {
  return `/media/${owner}/7ybqtx5rqd7pcfe8gn11wj6j98/1280.webp`;
}

/** Whether a handler's answer forwards the request as its owner's. */
export function isForwarded(answer) {
  return answer.status === undefined && answer.headers[OWNER_HEADER] !== undefined;
}
