// The viewer-request function of delivery mode "function". CloudFront runs it in JavaScript runtime 2.0 before its cache
// answers. It makes the decisions of edge-auth for one kind of token: a session with HS256 in the cookie __Host-gatepost.
//
// `minify.mjs` makes gate.min.js of it, and src/lib.rs adds POLICY, which is the rules as data: the whole may have 10,240
// bytes. Runtime 2.0 lacks for-of, classes, destructuring, spread, default parameters, Map, `?.` and `??`. Several awaits
// at a time exceed its memory, so they are sequential; and njs 0.7.9 crashes if an await is within the arguments of a call.
//
// Every path through `handler` that does not end in `forward` refuses the request. Objects are below a prefix that only
// `forward` adds, so a request that skips this function finds nothing.

import cf from 'cloudfront'
import crypto from 'crypto'

const SESSION = 'urn:gatepost:session'
const COOKIE = '__Host-gatepost'
const PREFIX = '/o'
const MAX_LOCATION = 8192
const NOTHING = {}

// The answer of each refusal: status, public message, and whether signing in resolves it.
const TOKEN = 'The access token is not valid.'
const FORBIDDEN = 'You may not access this.'
const REFUSALS = {
  ambiguous_path: [400, 'The path can be read in more than one way.'],
  no_token: [401, 'An access token is needed.', 1],
  several_tokens: [401, 'There is more than one access token.'],
  token_too_long: [401, TOKEN, 1],
  malformed_token: [401, TOKEN, 1],
  unknown_key: [401, TOKEN, 1],
  bad_signature: [401, TOKEN, 1],
  unknown_issuer: [401, TOKEN, 1],
  missing_claim: [401, TOKEN, 1],
  wrong_audience: [401, TOKEN, 1],
  invalid_claim: [401, TOKEN, 1],
  unexpected_claim: [401, TOKEN, 1],
  expired: [401, 'The access token expired.', 1],
}
const REASONS = { 204: 'No Content', 302: 'Found', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden' }

export async function handler(event) {
  const request = event.request
  const path = canonicalPath(request.uri)
  if (!path) return refuse(event, 'ambiguous_path')
  if (POLICY.cors && isPreflight(request)) return preflight(event)
  const segments = path.split('/')
  const idx = matchingRule(request.method, segments)
  if (idx < 0) return refuse(event, 'no_rule')
  const rule = POLICY.rules[idx]
  if (rule.anyone) return forward(request)
  const parts = sessionIn((request.cookies || {})[COOKIE])
  if (typeof parts === 'string') return refuse(event, parts, idx)
  // The store is asked for the whole header: algorithm, type and key id are compared byte for byte. Its entries have a
  // prefix, because the sender chooses this key and any other entry would be a secret that is known.
  let secret
  try {
    const text = await cf.kvs().get('session/' + parts[0])
    secret = Buffer.from(text, 'base64url')
  } catch (_) {
    return refuse(event, 'unknown_key', idx)
  }
  const session = verify(parts, secret)
  const refusal = typeof session === 'string' ? session : check(rule, segments, session)
  return refusal ? refuse(event, refusal, idx) : forward(request, session.owner)
}

// The decoded path if it has exactly one reading, as `CanonicalPath` in edge-auth; otherwise undefined.
function canonicalPath(raw) {
  // The usual path. `search` takes an eighth of the time of `test` in njs.
  if (raw[0] === '/' && raw.search(/[^\w.~/-]|\/[./]/) < 0) return raw
  // No pattern here has a `$`: in njs it also matches before a last line break.
  if (raw[0] !== '/' || /[^\w\-.~!$&'()*,;=:@/[\]%]|%(?![\da-fA-F]{2})/.test(raw)) return
  if (/%(?:[01][\da-fA-F]|2[fF]|5[cC]|7[fF])/.test(raw)) return
  let path
  try {
    path = decodeURIComponent(raw)
  } catch (_) {
    return
  }
  if (/%[\da-fA-F]{2}|[\u0080-\u009f]|\/\/|\/\.\.?\//.test(path)) return
  if (path.endsWith('/.') || path.endsWith('/..')) return
  return path
}

// The index of the first rule that matches, or -1. Segment 0 is the empty text before the first slash, in the rule and in
// the path.
function matchingRule(method, segments) {
  const isRead = method === 'GET' || method === 'HEAD'
  for (let idx = 0; idx < POLICY.rules.length; idx++) {
    const rule = POLICY.rules[idx]
    if ((rule.methods ? rule.methods.includes(method) : isRead) && matches(rule, segments)) return idx
  }
  return -1
}

// Loops are faster than functions of arrays here: this is called for every rule.
function matches(rule, segments) {
  const path = rule.path
  const n = path.length
  if (rule.open ? segments.length < n : segments.length !== n) return false
  for (let idx = 1; idx < n; idx++) {
    const wanted = path[idx]
    const text = segments[idx]
    if (typeof wanted === 'string') {
      if (text !== wanted) return false
      // A list is a glob. Anything else is a placeholder, which no empty segment fills: 0 is the owner's.
    } else if (wanted !== 0 && Array.isArray(wanted) ? !isGlob(wanted, text) : !text) return false
  }
  return true
}

// Whether a text consists of these parts in order, with anything between them. A lone star needs a text.
function isGlob(parts, text) {
  const first = parts[0]
  const last = parts[parts.length - 1]
  if (!text.startsWith(first)) return false
  text = text.slice(first.length)
  if (!text.endsWith(last)) return false
  const isEmpty = !text && !first
  text = text.slice(0, text.length - last.length)
  for (let idx = 1; idx < parts.length - 1; idx++) {
    const at = text.indexOf(parts[idx])
    if (at < 0) return false
    text = text.slice(at + parts[idx].length)
  }
  return !isEmpty
}

// The three parts of the cookie's session, or the code of a refusal.
function sessionIn(cookie) {
  if (!cookie) return 'no_token'
  let token = cookie.value
  if (cookie.multiValue || token[0] === '"') {
    const values = (cookie.multiValue || [cookie]).map(unquoted).filter((value) => value)
    token = values[0]
    if (values.some((value) => value !== token)) return 'several_tokens'
  }
  if (!token) return 'no_token'
  if (token.length > 8192) return 'token_too_long'
  const parts = token.split('.')
  return parts.length === 3 ? parts : 'malformed_token'
}

// A cookie's value may be quoted, with the same meaning.
function unquoted(cookie) {
  const value = cookie.value
  return value.length > 1 && value[0] === '"' && value.endsWith('"') ? value.slice(1, -1) : value
}

// The session, or the code of a refusal.
function verify(parts, secret) {
  if (secret.length < 32) return 'unknown_key'
  const mac = crypto
    .createHmac('sha256', secret)
    .update(parts[0] + '.' + parts[1])
    .digest()
  const signature = Buffer.from(parts[2], 'base64url')
  // The engine decodes leniently: a signature must be its own encoding. The comparison has no early exit.
  if (signature.length !== 32 || signature.toString('base64url') !== parts[2]) return 'bad_signature'
  let difference = 0
  for (let at = 0; at < 32; at += 4) difference |= mac.readInt32BE(at) ^ signature.readInt32BE(at)
  if (difference) return 'bad_signature'
  let claims
  try {
    claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString())
  } catch (_) {
    return 'malformed_token'
  }
  return checkSession(claims)
}

// A session is checked against the current configuration of the block that accepted its token.
function checkSession(session) {
  if (!isObject(session)) return 'malformed_token'
  if (session.iss !== SESSION) return 'unknown_issuer'
  if (session.aud !== SESSION) return 'wrong_audience'
  const exp = session.exp
  // As `Number.isSafeInteger`, which takes longer.
  if (typeof exp !== 'number' || exp % 1 !== 0 || exp > 9007199254740991) return 'invalid_claim'
  if (Date.now() >= exp * 1000) return 'expired'
  const claims = session.token
  if (!isObject(claims)) return 'invalid_claim'
  const blocks = POLICY.blocks
  let block = 0
  while (block < blocks.length && blocks[block].name !== session.block) block++
  if (block === blocks.length) return 'unknown_issuer'
  const refusal = checkBlock(POLICY.blocks[block], claims)
  return refusal || { block: block, owner: session.owner, claims: claims }
}

// A claim that the session did not retain is undefined, and one that its token lacked is null.
function checkBlock(block, claims) {
  const refusal = checkIssuer(block, claims)
  if (refusal) return refusal
  const aud = claims.aud
  if (typeof aud === 'string') {
    if (block.audiences && !block.audiences.includes(aud)) return 'wrong_audience'
  } else {
    const audiences = aud === undefined || aud === null ? [] : Array.isArray(aud) ? aud : [aud]
    if (!audiences.every((aud) => typeof aud === 'string')) return 'invalid_claim'
    if (block.audiences) {
      if (!audiences.length) return 'missing_claim'
      if (!audiences.some((aud) => block.audiences.includes(aud))) return 'wrong_audience'
    }
  }
  const unexpected = block.claims && unmet(block.claims, claims, 'unexpected_claim')
  if (unexpected) return unexpected
  const subject = own(claims, block.subject)
  if (subject === undefined) return 'expired'
  if (subject !== null && typeof subject !== 'string') return 'invalid_claim'
}

// With tenants the block's `iss` is the texts before and after the tenant.
function checkIssuer(block, claims) {
  const iss = claims.iss
  const parts = block.iss
  if (typeof parts === 'string') return iss === parts ? undefined : 'unknown_issuer'
  if (typeof iss !== 'string' || !iss.startsWith(parts[0])) return 'unknown_issuer'
  const rest = iss.slice(parts[0].length)
  const tenant = rest.slice(0, rest.length - parts[1].length)
  if (!rest.endsWith(parts[1]) || !tenant || /[^a-z\d._-]/.test(tenant)) return 'unknown_issuer'
  if (claims.tid === undefined) return 'expired'
  if (claims.tid !== tenant || (block.tenants && !block.tenants.includes(tenant))) return 'unexpected_claim'
}

// The code of the refusal, if the viewer does not meet the rule.
function check(rule, segments, session) {
  const claims = session.claims
  if (rule.blocks && !rule.blocks.includes(session.block)) return 'issuer_not_allowed'
  const path = rule.path
  for (let idx = 1; idx < path.length; idx++) {
    const wanted = path[idx]
    // A member of a string would be looked for in its prototypes.
    if (typeof wanted === 'string') continue
    if (wanted === 0) {
      if (!session.owner) return 'no_owner'
      if (session.owner !== segments[idx]) return 'not_owner'
    } else if (wanted.claim) {
      const value = own(claims, wanted.claim)
      if (value === undefined) return 'expired'
      if (!some(value, (item) => names(item, segments[idx]))) return 'claim_mismatch'
    }
  }
  const refusal = rule.claims && unmet(rule.claims, claims, 'claim_required')
  if (refusal || !rule.scopes) return refusal
  for (let idx = 0; idx < rule.scopes.length; idx++) {
    const values = [own(claims, 'scope'), own(claims, 'scp')]
    if (values.includes(undefined)) return 'expired'
    if (!values.some((value) => grants(value, rule.scopes[idx]))) return 'missing_scope'
  }
}

// The code of the refusal, if a claim is not as required; `required` is a list of [claim, kind, values].
function unmet(required, claims, code) {
  for (let idx = 0; idx < required.length; idx++) {
    const value = own(claims, required[idx][0])
    const kind = required[idx][1]
    const wanted = required[idx][2]
    if (value === undefined) return 'expired'
    const has = (one) =>
      kind === 'keys' ? !Array.isArray(value) && isSet(own(value, one)) : some(value, (item) => item === one)
    if (!(kind === 'all' ? wanted.every(has) : wanted.some(has))) return code
  }
}

// A member of the object itself, not of its prototype. Only for names that a prototype has, the slower call is needed.
function own(object, name) {
  if (isObject(object) && (!(name in NOTHING) || NOTHING.hasOwnProperty.call(object, name))) return object[name]
}

function isObject(value) {
  return value && typeof value === 'object'
}

// An array's items count as values of a claim; null counts as no value.
function some(value, is) {
  return Array.isArray(value) ? value.some(is) : is(value)
}

// A group may have its full path, as Keycloak sends it.
function names(value, segment) {
  if (typeof value === 'string') return value === segment || value === '/' + segment
  return Number.isSafeInteger(value) && String(value) === segment
}

function grants(value, scope) {
  return Array.isArray(value) ? value.includes(scope) : typeof value === 'string' && value.split(' ').includes(scope)
}

// A provider may switch a role off by its value.
function isSet(value) {
  if (isObject(value)) return Object.keys(value).length > 0
  return !!value || value === 0
}

// The origin gets the owner and the key's prefix, and no cookie of a session.
function forward(request, owner) {
  const headers = request.headers
  if (Object.keys(headers).join().includes('x-gatepost-')) {
    Object.keys(headers).forEach((name) => {
      if (name.startsWith('x-gatepost-')) delete headers[name]
    })
  }
  delete headers.authorization
  if (request.cookies) delete request.cookies[COOKIE]
  if (owner) headers['x-gatepost-owner'] = { value: owner }
  headers['x-gatepost-allowed'] = { value: '1' }
  request.uri = PREFIX + request.uri
  return request
}

function refuse(event, code, rule) {
  const refusal = REFUSALS[code] || [403, FORBIDDEN]
  const status = refusal[0]
  console.log(JSON.stringify({ message: 'a viewer request is denied', code: code, status: status, rule: rule }))
  const location = refusal[2] && signInLocation(event.request)
  if (location) return answer(302, { location: { value: location } })
  const headers = readableBy(event.request)
  headers['content-type'] = { value: 'application/problem+json' }
  if (status === 401) {
    headers['www-authenticate'] = { value: code === 'no_token' ? 'Bearer' : 'Bearer error="invalid_token"' }
  } else if (code === 'missing_scope') {
    headers['www-authenticate'] = { value: 'Bearer error="insufficient_scope"' }
  }
  const problem = { title: REASONS[status], status: status, detail: refusal[1] }
  return answer(status, headers, JSON.stringify(problem))
}

function answer(status, headers, body) {
  headers['cache-control'] = { value: 'no-store' }
  headers['x-content-type-options'] = { value: 'nosniff' }
  const response = { statusCode: status, statusDescription: REASONS[status], headers: headers }
  if (body) response.body = body
  return response
}

// Where a browser signs in, for a page that a person opens. The way back is a path of this site, so it cannot be an
// open redirect.
function signInLocation(request) {
  const login = POLICY.login
  if (!login || request.method !== 'GET' || !isNavigation(request.headers)) return
  if (canonicalPath(request.uri) === canonicalPath(login.split(/[?#]/)[0])) return
  const uri = request.uri
  const query = request.rawQueryString()
  return (query && locationOf(login, uri + '?' + query)) || locationOf(login, uri)
}

// The address with a way back, unless CloudFront would not take one so long. Percent-encoding makes it up to three times
// as long.
function locationOf(login, back) {
  if (back.length > MAX_LOCATION) return
  const location = login.split('{url}').join(encode(back))
  if (location.length <= MAX_LOCATION) return location
}

// Percent-encodes everything but RFC 3986's unreserved characters.
function encode(text) {
  let encoded = encodeURIComponent(text)
  for (let at = 0; at < 5; at++) encoded = encoded.split("!'()*"[at]).join(['%21', '%27', '%28', '%29', '%2A'][at])
  return encoded
}

function isNavigation(headers) {
  const mode = headers['sec-fetch-mode']
  if (mode) return mode.value === 'navigate' && !mode.multiValue
  const accept = headers.accept
  return accept && lines(accept).some((line) => line.includes('text/html'))
}

function lines(header) {
  return header.multiValue ? header.multiValue.map((line) => line.value) : [header.value]
}

function only(header) {
  if (header && !header.multiValue) return header.value
}

function isPreflight(request) {
  const headers = request.headers
  return request.method === 'OPTIONS' && headers.origin && headers['access-control-request-method']
}

function preflight(event) {
  const cors = POLICY.cors
  const headers = event.request.headers
  const granted = readableBy(event.request)
  const method = only(headers['access-control-request-method'])
  const asked = headers['access-control-request-headers']
  // Beyond ASCII, changing the case or trimming would make granted names of others.
  const isPlain = (line) => !/[^ -~\t]/.test(line)
  const headerNames = cors.headers.map((name) => name.toLowerCase())
  const isGranted = (name) => !name.trim() || headerNames.includes(name.trim().toLowerCase())
  if (
    !granted['access-control-allow-origin'] ||
    !cors.methods.includes(method) ||
    (asked && !lines(asked).every((line) => isPlain(line) && line.split(',').every(isGranted)))
  ) {
    return refuse(event, 'cors_refused')
  }
  granted['access-control-allow-methods'] = { value: cors.methods.join(', ') }
  if (cors.headers.length) granted['access-control-allow-headers'] = { value: cors.headers.join(', ') }
  granted['access-control-max-age'] = { value: String(cors.age) }
  return answer(204, granted)
}

// The headers with which a script of another origin may read the answer.
function readableBy(request) {
  const cors = POLICY.cors
  if (!cors) return {}
  const headers = { vary: { value: 'Origin' } }
  const origin = only(request.headers.origin)
  const granted = origin && cors.origins.find((one) => one === '*' || one === origin)
  if (granted) {
    headers['access-control-allow-origin'] = { value: granted }
    if (cors.credentials) headers['access-control-allow-credentials'] = { value: 'true' }
  }
  return headers
}
