// The gate before the clock: handlers with different answers are not worth comparing.
//
// Every contestant is checked against the same expectations, and a forwarded request is compared as a whole.

import { isDeepStrictEqual } from 'node:util';

import { claims, event, mediaPath, token } from './events.mjs';
import { ADMIN_SCOPE, COOKIE, ISSUER, OWNER_HEADER, ownerOf } from './peers/policy.mjs';

const ALICE = 'idp|alice';
const BOB = 'idp|bob';

/** Throws, with all differences, unless every contestant answers every case as expected. */
export async function assertSameAnswers(contestants, keys) {
  const faults = [];
  for (const { name, expected, given } of cases(keys)) {
    for (const contestant of contestants) {
      const answer = asJson(await quietly(() => contestant.handler(structuredClone(given))));
      const fault = difference(answer, expected);
      if (fault) faults.push(`${contestant.name}, ${name}: ${fault}`);
    }
  }
  if (faults.length > 0) {
    throw new Error(
      `the contestants do not answer alike, so nothing was timed (are --ours and --work of one run of prepare.mjs?):\n  ${faults.join('\n  ')}`,
    );
  }
}

function cases(keys) {
  const key = keys.get('RS256');
  const alice = ownerOf(ISSUER, ALICE);
  const picture = mediaPath(alice);
  const signed = (changes = {}) => token(key, claims({ sub: ALICE, ...changes }));
  const now = Math.floor(Date.now() / 1000);
  const good = signed();
  const [header, , signature] = good.split('.');
  const foreignPayload = signed({ sub: BOB }).split('.')[1];
  const middle = good.length - 100;
  const flipped = good[middle] === 'A' ? 'B' : 'A';

  const algorithms = [...keys.values()].map((each) => {
    const given = withToken(picture, token(each, claims({ sub: ALICE })));
    return { name: `good ${each.alg}`, given, expected: forwarded(given, alice) };
  });
  const admin = withToken('/admin/report.csv', signed({ scope: `media:read ${ADMIN_SCOPE}` }));
  const byCookie = event(picture, { Cookie: `theme=dark; ${COOKIE}=${good}; lang=en` });
  const onlyCookie = event(picture, { Cookie: `${COOKIE}=${good}` });
  const pretender = event('/public/logo.svg', { 'X-Gatepost-Owner': alice, 'X-Gatepost-Other': 'x' });
  const refused = (name, given, status) => ({ name, given, expected: { status } });
  return [
    ...algorithms,
    { name: 'scope granted', given: admin, expected: forwarded(admin, alice) },
    { name: 'token in a cookie', given: byCookie, expected: forwarded(byCookie, alice, 'theme=dark; lang=en') },
    { name: 'token in the only cookie', given: onlyCookie, expected: forwarded(onlyCookie, alice) },
    { name: 'public, with forged headers', given: pretender, expected: forwarded(pretender) },
    refused('expired', withToken(picture, signed({ exp: now - 10 })), '401'),
    refused('not yet valid', withToken(picture, signed({ nbf: now + 600 })), '401'),
    refused('no exp', withToken(picture, signed({ exp: undefined })), '401'),
    refused('no aud', withToken(picture, signed({ aud: undefined })), '401'),
    refused('other audience', withToken(picture, signed({ aud: 'mail' })), '401'),
    refused('other issuer', withToken(picture, signed({ iss: 'https://login.example.org/' })), '401'),
    refused('no sub', withToken(picture, signed({ sub: undefined })), '403'),
    refused('payload of another token', withToken(picture, `${header}.${foreignPayload}.${signature}`), '401'),
    refused('tampered signature', withToken(picture, good.slice(0, middle) + flipped + good.slice(middle + 1)), '401'),
    refused('algorithm none', withToken(picture, token(key, claims({ sub: ALICE }), { alg: 'none' })), '401'),
    refused('unknown key', withToken(picture, token({ ...key, kid: 'unknown' }, claims({ sub: ALICE }))), '401'),
    refused('no token at all', event(picture), '401'),
    refused('a text that is not a token', withToken(picture, 'garbage'), '401'),
    refused("another owner's picture", withToken(mediaPath(ownerOf(ISSUER, BOB)), good), '403'),
    refused('an owner with a suffix', withToken(`/media/${alice}x/1.webp`, good), '403'),
    refused('scope not granted', withToken('/admin/report.csv', good), '403'),
    refused('no rule', withToken('/elsewhere', good), '403'),
    refused('a writing method', event('/public/logo.svg', {}, 'PUT'), '403'),
  ];
}

function withToken(uri, text) {
  return event(uri, { Authorization: `Bearer ${text}` });
}

/** An answer as Lambda sends it. */
function asJson(answer) {
  return JSON.parse(JSON.stringify(answer));
}

/** The request of an event as it must be forwarded. */
function forwarded(given, owner, cookie) {
  const { request } = structuredClone(given).Records[0].cf;
  const { headers } = request;
  delete headers.authorization;
  for (const name of Object.keys(headers)) {
    if (name.startsWith('x-gatepost-')) delete headers[name];
  }
  if (cookie === undefined) delete headers.cookie;
  else headers.cookie[0].value = cookie;
  if (owner !== undefined) headers[OWNER_HEADER] = [{ key: OWNER_HEADER, value: owner }];
  return { request };
}

/** The difference between an answer and the expected one, if any. */
function difference(answer, expected) {
  if (expected.request) {
    if (isDeepStrictEqual(answer, expected.request)) return undefined;
    return `it should be forwarded with ${shown(expected.request.headers)}, the answer is ${shown(answer?.headers)}, status ${answer?.status ?? 'none'}`;
  }
  if (answer?.status !== expected.status)
    return `expected ${expected.status}, found ${answer?.status ?? 'a forwarded request'}`;
  if (answer.headers['cache-control']?.[0].value !== 'no-store') return 'the refusal may be cached';
  if (answer.status === '401' && !answer.headers['www-authenticate']) return 'a 401 without www-authenticate';
  return undefined;
}

function shown(headers) {
  return JSON.stringify(headers);
}

/** Runs a handler without its log: a refusal is logged to stdout. */
async function quietly(run) {
  const { write } = process.stdout;
  process.stdout.write = () => true;
  try {
    return await run();
  } finally {
    process.stdout.write = write;
  }
}
