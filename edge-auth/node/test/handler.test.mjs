// The handler as Lambda calls it: it fails closed, and fetches keys no more often than necessary.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import { config, event, hs256, keySet, runtime, SECRET, token, withLog } from './package.mjs';

const bearer = (text) => ({ authorization: `Bearer ${text}` });

/** Asserts that the answer is Gatepost's 503, and that the log gives the reason with the request's id. */
function assertUnavailable({ answer, log }, reason) {
  assert.equal(answer.status, '503');
  assert.equal(answer.headers['cache-control'][0].value, 'no-store');
  assert.ok(answer.body.length < 1024);
  assert.equal(log.length, 1);
  assert.equal(log[0].level, 'error');
  assert.equal(log[0].request_id, 'request-1');
  assert.match(log[0].reason, reason);
}

/** An answer as Lambda sends it. */
function asJson(answer) {
  return JSON.parse(JSON.stringify(answer));
}

test('an allowed request is forwarded as its owner with its token removed', async () => {
  const { handler } = await runtime(config());
  for (const headers of [bearer(token()), { cookie: `__Host-gatepost=${token()}` }]) {
    const answer = asJson(
      await handler(event('/members/x', { ...headers, 'x-gatepost-owner': 'me', 'x-gatepost-admin': '1', dnt: '1' })),
    );
    assert.deepEqual(Object.keys(answer.headers).sort(), ['dnt', 'x-gatepost-owner']);
    assert.match(answer.headers['x-gatepost-owner'][0].value, /^[a-z2-7]{26}$/);
  }
});

test('the handler has one parameter, as Node.js 24 on Lambda requires', async () => {
  const { handler } = await runtime(config());
  assert.equal(handler.length, 1);
  assert.equal(handler.constructor.name, 'AsyncFunction');
});

test('every malformed event gets a 503', async () => {
  const { handler } = await runtime(config());
  const broken = (change) => {
    const one = event('/members/x', bearer(token()));
    change(one.Records[0].cf, one);
    return one;
  };
  for (const [change, reason] of [
    [(cf) => delete cf.request.uri, /argument 3 is not a string/],
    [(cf) => (cf.request.method = 7), /argument 2 is not a string/],
    [(cf) => (cf.request.headers.authorization = [{ key: 'Authorization' }]), /argument 5 is not a header/],
    [(cf) => (cf.request.headers.cookie = [{ value: 'a' }, { value: 7 }]), /argument 6 is not a header/],
    [(cf) => (cf.request.headers.cookie = 'a=1'), /argument 6 is not a header|header\.map|undefined/],
    [(cf) => delete cf.request.headers, /undefined/],
    [(cf) => delete cf.request, /undefined/],
    // Behind the cache it would protect nothing.
    [(cf) => (cf.config.eventType = 'origin-request'), /this is not a viewer-request: origin-request/],
  ]) {
    assertUnavailable(await withLog(() => handler(broken(change))), reason);
  }
  for (const nothing of [undefined, null, {}, { Records: [] }]) {
    const { answer } = await withLog(() => handler(nothing));
    assert.equal(answer.status, '503');
  }
});

test('a broken package answers every request with a 503', async () => {
  for (const [configuration, reason] of [
    ['not JSON', /the configuration cannot be read/],
    [config({}, { algorithms: [] }), /issuers\[0\]\.algorithms: name at least one algorithm/],
    [config({ rules: [{ path: 'x', access: 'anyone' }] }), /rules\[0\]\.path/],
  ]) {
    const { handler } = await runtime(configuration);
    assertUnavailable(await withLog(() => handler(event('/public/x'))), reason);
  }
});

test('an invalid time is a 503', async () => {
  const { answer } = await runtime(config());
  for (const now of [NaN, Infinity, 1e300, '7']) {
    assertUnavailable(await withLog(() => answer(event('/public/x'), () => now)), /argument 0 is not a time/);
  }
});

test('a denial is one line, without a token and without a claim', async () => {
  const { handler } = await runtime(config());
  const refused = token('known', { sub: 'alice@example.com', aud: 'secret-audience' });
  const { answer, log } = await withLog(() => handler(event('/members/x', bearer(refused))));
  assert.equal(answer.status, '401');
  assert.equal(log.length, 1);
  const { code, rule, issuer, kid, request_id } = log[0];
  assert.deepEqual(
    { code, rule, issuer, kid, request_id },
    { code: 'wrong_audience', rule: 0, issuer: 'https://login.example.com/', kid: 'known', request_id: 'request-1' },
  );
  const line = JSON.stringify(log[0]);
  for (const secret of ['alice', 'secret-audience', refused.split('.')[1], refused.split('.')[2]]) {
    assert.ok(!line.includes(secret), line);
  }
});

test('long strings arrive whole', async () => {
  const { handler } = await runtime(config());
  const cookie = `a=${'ä'.repeat(30_000)}; __Host-gatepost=${token()}`;
  const answer = await handler(event('/members/x', { cookie }));
  assert.equal(answer.headers.cookie[0].value, `a=${'ä'.repeat(30_000)}`);
});

/** A local provider that counts its requests. */
async function provider(respond) {
  const server = createServer((_request, response) => {
    provided.requests += 1;
    respond(response, provided);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const provided = {
    requests: 0,
    published: {
      url: `http://127.0.0.1:${server.address().port}/jwks.json`,
      max_age_seconds: 3600,
      timeout_ms: 2000,
      max_stale_seconds: 86_400,
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return provided;
}

const status = async (answer, headers, clock) => {
  const { answer: answered } = await withLog(() => answer(event('/members/x', headers), clock));
  return answered.status ?? 'allowed';
};

test('unknown keys are fetched once for all waiting requests', async () => {
  const served = await provider((response, { kids }) => {
    setTimeout(() => response.end(JSON.stringify(keySet(...kids))), 50);
  });
  served.kids = ['known', 'new'];
  const { answer } = await runtime(config({}, { published: served.published, jwks: keySet('known') }));
  let now = Date.now();
  const clock = () => now;
  const waiting = Array.from({ length: 50 }, (_, n) => status(answer, bearer(token(n % 2 ? 'new' : 'known')), clock));
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['allowed']));
  assert.equal(served.requests, 1);

  // A flood of invented names causes one fetch per cool-down of 30 seconds.
  for (let n = 0; n < 200; n += 1) {
    assert.equal(await status(answer, bearer(token(`invented ${n}`)), clock), '401');
    now += 450;
  }
  assert.ok(served.requests <= 4, `${served.requests} fetches in 90 seconds`);

  // A withdrawn key is trusted no longer than the set's TTL.
  served.kids = ['new'];
  now += 3600_000;
  assert.equal(await status(answer, bearer(token('known')), clock), '401');
  assert.equal(await status(answer, bearer(token('new', { exp: Math.floor(now / 1000) + 60 })), clock), 'allowed');
  served.close();
});

test('the previous keys stay in use while the provider fails', async () => {
  const long = JSON.stringify({ ...keySet('known'), x: 'x'.repeat(300 * 1024) });
  for (const [name, respond] of [
    ['an error', (response) => response.writeHead(500).end('{}')],
    ['a redirect', (response) => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end()],
    ['not JSON', (response) => response.end('<html>')],
    ['not a key set', (response) => response.end('{"keys": {}}')],
    ['too much', (response) => response.end(long)],
    [
      'cut off',
      (response) => response.writeHead(200, { 'content-length': 999 }).write('{"ke') && response.socket.destroy(),
    ],
    ['silence', () => {}],
  ]) {
    const served = await provider(respond);
    const { answer } = await runtime(config({}, { published: served.published, jwks: keySet('known') }));
    const started = Date.now();
    assert.equal(await status(answer, bearer(token('known')), Date.now), 'allowed', name);
    // The key may exist, and nobody can know at the moment: that must not sign anybody out.
    assert.equal(await status(answer, bearer(token('new')), Date.now), '503', name);
    assert.ok(Date.now() - started < 3000, name);
    // One prefetch at start, and one fetch for the first viewer.
    assert.ok(served.requests <= 2, `${name}: ${served.requests} requests`);
    assert.equal(await status(answer, bearer(token('new')), Date.now), '503', name);
    assert.ok(served.requests <= 2, `${name}: ${served.requests} requests`);
    served.close();
  }
});

test('a prefetch that Lambda froze does not start the cool-down', async () => {
  const served = await provider((response, { requests }) => {
    if (requests === 1) response.socket.destroy();
    else response.end(JSON.stringify(keySet('new')));
  });
  const { answer } = await runtime(config({}, { published: served.published, jwks: keySet('known') }));
  // Whether the prefetch fails before or while the viewer waits for it makes no difference.
  while (served.requests === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(await status(answer, bearer(token('known')), Date.now), '401', 'the key is withdrawn');
  assert.equal(await status(answer, bearer(token('new')), Date.now), 'allowed');
  assert.equal(served.requests, 2);
  served.close();
});

test('a session is verified with the secret that its issuer shares', async () => {
  const secrets = { keys: [{ kty: 'oct', k: SECRET.toString('base64url') }] };
  const { handler } = await runtime(config({}, { algorithms: ['HS256'], jwks: undefined, secrets }));
  const answer = await handler(event('/members/x', bearer(hs256())));
  assert.ok(answer.headers['x-gatepost-owner']);
});
