// The Lambda@Edge face: a viewer-request event in, the request or a response out.
//
// Every decision is made in Rust, by the addon beside this file. This file carries: it hands over what a decision
// depends on, changes the request as it is told, and fetches keys when it is asked to. Whatever goes wrong becomes a 503.

/** The largest key set that is read. */
const MAX_SET_BYTES = 256 * 1024;

const OWN_HEADERS = 'x-gatepost-';
const OWNER_HEADER = 'x-gatepost-owner';

/** What a key set is asked for with. The host in Rust sends the same; AWS WAF's common rules refuse requests without a user agent. */
const FETCH_HEADERS = { accept: 'application/json', connection: 'close', 'user-agent': 'gatepost' };

/** Fetches that are under way, by address: all who need the same keys wait for the same fetch. Each says if it settled it. */
const fetches = new Map();

let addon;
/** The headers that a token can be in. Allowed requests go on without them. */
let tokenHeaders;
/** Those of them that the addon is not handed anyway. */
let otherHeaders;
/** Why nothing can be decided, for replaying events. */
export let startFault;
try {
  // Without an import of node:fs and node:module, which would take as long as everything else here together.
  const loaded = { exports: {} };
  process.dlopen(loaded, `${import.meta.dirname}/edge-auth.node`);
  addon = loaded.exports;
  const { readFileSync } = process.getBuiltinModule('node:fs');
  tokenHeaders = JSON.parse(addon.configure(readFileSync(`${import.meta.dirname}/config.json`, 'utf8')));
  otherHeaders = tokenHeaders.filter((name) => name !== 'authorization');
  // Keys that the first viewer would wait for are fetched while the function starts.
  for (const need of JSON.parse(addon.wantedKeys(Date.now()))) share(need, Date.now, need.timeoutMs, true);
} catch (error) {
  // A module that throws would be CloudFront's error page, with CloudFront's caching.
  startFault = error;
}

/** What Lambda calls. */
export const handler = async (event) => answer(event, Date.now);

/** The same with a clock of the caller's choice, for replaying events. */
export async function answer(event, clock) {
  try {
    if (startFault) throw startFault;
    const { config, request } = event.Records[0].cf;
    // Behind the cache, at origin-request, nobody would be asked for what the cache holds.
    if (config.eventType !== 'viewer-request') throw new Error(`this is no viewer-request: ${config.eventType}`);
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

/** A header's name before each of its lines; nothing where the request has none. */
function pairs(name, header) {
  return (header ?? []).flatMap((line) => [name, line.value]);
}

/** A header's lines: nothing, a string, or an array of strings; a line without a value is for the addon to refuse. */
function lines(header) {
  if (header === undefined) return undefined;
  return header.length === 1 ? (header[0].value ?? null) : header.map((line) => line.value);
}

/** Does what the addon says; `face::decide` tells in which words. */
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

/** Sends a request on: without its token and without anything that claims to come from us. */
function forward(request, owner) {
  const { headers } = request;
  for (const name in headers) {
    if (name.charCodeAt(0) === 0x78 /* x */ && name.startsWith(OWN_HEADERS)) delete headers[name];
  }
  for (const name of tokenHeaders) {
    // Lambda sends the request on as JSON, where what is undefined is not. To delete it would turn the object into a
    // dictionary, which costs a quarter of a decision on a token that was seen before.
    if (headers[name] !== undefined) headers[name] = undefined;
  }
  if (owner !== '') headers[OWNER_HEADER] = [{ key: OWNER_HEADER, value: owner }];
  return request;
}

/** Waits for an issuer's keys. Never rejects: without new keys the old ones serve. */
async function fetchKeys(need, clock) {
  const until = performance.now() + need.timeoutMs;
  let underWay;
  while ((underWay = fetches.get(need.url))) {
    if (await underWay) return;
  }
  await share(need, clock, Math.max(0, Math.ceil(until - performance.now())), false);
}

/** Fetches an issuer's keys for everybody who asks meanwhile, and hands them to the addon. */
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
    // Lambda freezes an instance between its start and its first viewer. A fetch ahead of the viewer that did not end in
    // time says nothing about the issuer, and must not start the cool-down.
    if (isAhead) return false;
    addon.keysNotFetched(clock(), url);
    log({ level: 'warn', message: "an issuer's keys cannot be fetched", issuer, reason: String(error?.message ?? error) });
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

/** The body of a 200, within the time limit and the size cap. Redirects are not followed. */
async function fetchText(url, timeout) {
  // Loaded when it is needed: most instances never are in need of it.
  const { get } = await import(url.startsWith('https:') ? 'node:https' : 'node:http');
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeout);
    // No connection is kept: the next fetch is an hour away, and Lambda freezes what lies between.
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
    request.on('error', (error) => reject(signal.aborted ? new Error('there is no answer in time') : error));
  });
}

/** The answer to what could not be decided. */
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

/** One line of the log. Not by `console`, which puts text before it that no query for JSON understands. */
function writeLine(line) {
  process.stdout.write(`${line}\n`);
}
