// The Lambda@Edge runtime: takes a viewer-request event and returns the request or a response.
//
// Every decision is made in Rust, by the addon beside this file. This file only carries data. It passes the inputs of a
// decision, changes the request as the answer says, and fetches keys on demand. Every error becomes a 503.

/** The size limit of a key set. */
const MAX_SET_BYTES = 256 * 1024;

const RESERVED_HEADER_PREFIX = 'x-gatepost-';
const OWNER_HEADER = 'x-gatepost-owner';

/** The headers of a key fetch, as in the Rust host. AWS WAF's common rules refuse requests without a user agent. */
const FETCH_HEADERS = { accept: 'application/json', connection: 'close', 'user-agent': 'gatepost' };

/**
 * Fetches in progress, by address (single-flight): all callers of the same keys wait for the same fetch. Each promise
 * resolves to whether the fetch was settled.
 */
const fetches = new Map();

let addon;
/** The headers that can carry a token. They are removed from allowed requests. */
let tokenHeaders;
/** Those of them that are not passed to the addon in any case. */
let otherHeaders;
/** Why nothing can be decided, for replaying events. */
export let startFault;
try {
  // Without importing node:fs and node:module, which would take as long as everything else here together.
  const loaded = { exports: {} };
  process.dlopen(loaded, `${import.meta.dirname}/edge-auth.node`);
  addon = loaded.exports;
  const { readFileSync } = process.getBuiltinModule('node:fs');
  tokenHeaders = JSON.parse(addon.configure(readFileSync(`${import.meta.dirname}/config.json`, 'utf8')));
  otherHeaders = tokenHeaders.filter((name) => name !== 'authorization');
  // The first viewer would wait for these keys: they are prefetched while the function starts.
  for (const need of JSON.parse(addon.keysDue(Date.now()))) share(need, Date.now, need.timeoutMs, true);
} catch (error) {
  // A module that throws would produce CloudFront's error page, with CloudFront's caching.
  startFault = error;
}

/** The Lambda handler. */
export const handler = async (event) => answer(event, Date.now);

/** The handler with an injected clock, for replaying events. */
export async function answer(event, clock) {
  try {
    if (startFault) throw startFault;
    const { config, request } = event.Records[0].cf;
    // At origin-request, behind the cache, cached content would be served without a decision.
    if (config.eventType !== 'viewer-request') throw new Error(`this is not a viewer-request: ${config.eventType}`);
    let verdict = decide(config, request, clock);
    if (verdict.startsWith('{"needKeys"')) {
      await fetchKeys(JSON.parse(verdict).needKeys, clock);
      verdict = decide(config, request, clock);
    }
    return carryOut(verdict, request);
  } catch (error) {
    log({
      level: 'error',
      message: 'a viewer request could not be decided',
      reason: String(error?.message ?? error),
      request_id: requestId(event),
    });
    return unavailable();
  }
}

function decide(config, request, clock) {
  const { headers } = request;
  return addon.decide(
    clock(),
    config.requestId ?? '',
    request.method,
    request.uri,
    request.querystring ?? '',
    lines(headers.authorization),
    lines(headers.cookie),
    lines(headers.accept),
    lines(headers['sec-fetch-mode']),
    lines(headers.origin),
    lines(headers['access-control-request-method']),
    lines(headers['access-control-request-headers']),
    otherHeaders.length === 0 ? undefined : otherHeaders.flatMap((name) => pairs(name, headers[name])),
  );
}

/** A header's name before each of its lines; empty if the request does not have it. */
function pairs(name, header) {
  return (header ?? []).flatMap((line) => [name, line.value]);
}

/** A header's lines: undefined, a string, or an array of strings. The addon refuses a line without a value. */
function lines(header) {
  if (header === undefined) return undefined;
  return header.length === 1 ? (header[0].value ?? null) : header.map((line) => line.value);
}

/** Applies the addon's answer; `runtime::decide` defines its format. */
function carryOut(verdict, request) {
  if (verdict.charCodeAt(0) !== 0x7b /* { */) {
    const lineFeed = verdict.indexOf('\n');
    if (lineFeed === -1) return forward(request, verdict);
    const { headers } = request;
    if (lineFeed === verdict.length - 1) delete headers.cookie;
    else headers.cookie[0].value = verdict.slice(lineFeed + 1);
    return forward(request, verdict.slice(0, lineFeed));
  }
  const told = JSON.parse(verdict);
  if (told.response) {
    if (told.log) writeLine(told.log);
    return told.response;
  }
  if (!told.forward) return unavailable();
  const { owner, cookie, querystring } = told.forward;
  if (cookie) {
    const changed = request.headers.cookie
      .map((line, index) => ({ ...line, value: cookie[index] }))
      .filter((line) => line.value !== null);
    if (changed.length > 0) request.headers.cookie = changed;
    else delete request.headers.cookie;
  }
  if (querystring !== null) request.querystring = querystring;
  return forward(request, owner ?? '');
}

/** Forwards a request without its token and without any `x-gatepost-*` header of the viewer. */
function forward(request, owner) {
  const { headers } = request;
  for (const name in headers) {
    if (name.charCodeAt(0) === 0x78 /* x */ && name.startsWith(RESERVED_HEADER_PREFIX)) delete headers[name];
  }
  for (const name of tokenHeaders) {
    // Lambda serialises the request as JSON, which omits undefined members. `delete` would turn the object into a
    // dictionary, which costs a quarter of a decision on a cached token.
    if (headers[name] !== undefined) headers[name] = undefined;
  }
  if (owner !== '') headers[OWNER_HEADER] = [{ key: OWNER_HEADER, value: owner }];
  return request;
}

/** Waits for an issuer's keys. Never rejects: without new keys the previous ones stay in use. */
async function fetchKeys(need, clock) {
  const until = performance.now() + need.timeoutMs;
  for (let underWay = fetches.get(need.url); underWay; underWay = fetches.get(need.url)) {
    if (await underWay) return;
  }
  await share(need, clock, Math.max(0, Math.ceil(until - performance.now())), false);
}

/** Fetches an issuer's keys once for all callers (single-flight), and hands them to the addon. */
function share(need, clock, timeout, isAhead) {
  const fetching = fetchAndAccept(need, clock, timeout, isAhead).finally(() => fetches.delete(need.url));
  fetches.set(need.url, fetching);
  return fetching;
}

async function fetchAndAccept({ issuer, url }, clock, timeout, isAhead) {
  let jwks;
  try {
    jwks = await fetchText(url, timeout);
  } catch (error) {
    // Lambda freezes an instance between its start and its first viewer. A prefetch that timed out there says nothing
    // about the issuer, and must not start the cool-down.
    if (isAhead) return false;
    addon.keysNotFetched(clock(), url);
    log({
      level: 'warn',
      message: "an issuer's keys cannot be fetched",
      issuer,
      reason: String(error?.message ?? error),
    });
    return true;
  }
  try {
    const leftOut = addon.acceptKeys(clock(), url, jwks);
    if (leftOut) log({ level: 'warn', message: "some of an issuer's keys are left out", issuer, reason: leftOut });
  } catch (error) {
    log({ level: 'warn', message: "an issuer's keys are refused", issuer, reason: String(error?.message ?? error) });
  }
  return true;
}

/** The body of a 200 response, within the timeout and the size limit. Redirects are not followed. */
async function fetchText(url, timeout) {
  // Loaded lazily: most instances never need it.
  const { get } = await import(url.startsWith('https:') ? 'node:https' : 'node:http');
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeout);
    // No keep-alive: the next fetch is an hour away, and Lambda freezes the instance in between.
    const request = get(url, { agent: false, signal, headers: FETCH_HEADERS }, (response) => {
      if (response.statusCode !== 200) {
        request.destroy(new Error(`the answer's status is ${response.statusCode}`));
        return;
      }
      const chunks = [];
      let bytes = 0;
      response.on('data', (chunk) => {
        bytes += chunk.length;
        if (bytes > MAX_SET_BYTES) request.destroy(new Error(`the answer has more than ${MAX_SET_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    });
    request.on('error', (error) => reject(signal.aborted ? new Error('no answer before the timeout') : error));
  });
}

/** The answer to a request that could not be decided. */
function unavailable() {
  return {
    status: '503',
    statusDescription: 'Service Unavailable',
    headers: {
      'cache-control': [{ key: 'cache-control', value: 'no-store' }],
      'content-type': [{ key: 'content-type', value: 'application/problem+json' }],
      'retry-after': [{ key: 'retry-after', value: '30' }],
      'x-content-type-options': [{ key: 'x-content-type-options', value: 'nosniff' }],
    },
    body: '{"title":"Service Unavailable","status":503,"detail":"The request cannot be decided at the moment."}',
  };
}

function requestId(event) {
  return event?.Records?.[0]?.cf?.config?.requestId ?? null;
}

function log(line) {
  writeLine(JSON.stringify(line));
}

/** Writes one log line. `console` would put a prefix before it, and log queries could not parse it as JSON. */
function writeLine(line) {
  process.stdout.write(`${line}\n`);
}
