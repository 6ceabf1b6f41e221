// A million requests with a different token each: the cache stays bounded. Prints the measurements as JSON.
//
// Run with --max-old-space-size=64 --max-semi-space-size=4: V8 derives its limits from the machine's memory, and a
// function of 128 MB is a small machine.

import { readFileSync } from 'node:fs';

import { config, event, hs256, runtime, SECRET } from './package.mjs';

const MIB = 1024 * 1024;
const N_REQUESTS = 1_000_000;

const secrets = { keys: [{ kty: 'oct', k: SECRET.toString('base64url') }] };
const { handler } = await runtime(config({}, { algorithms: ['HS256'], jwks: undefined, secrets }));
const resident = [];
for (let n = 1; n <= N_REQUESTS; n += 1) {
  // A claim makes the token as long as typical access tokens.
  const token = hs256({ sub: `user ${n}`, scope: 'x'.repeat(300) });
  const answer = await handler(event('/members/x', { authorization: `Bearer ${token}` }));
  if (!answer.headers['x-gatepost-owner']) throw new Error(`request ${n} is refused with ${answer.status}`);
  if (n % 100_000 === 0) resident.push(Math.round(process.memoryUsage().rss / MIB));
}
// Not resourceUsage(): its maximum includes that of the parent process before the fork.
const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
const most = Math.round(Number(peak) / 1024);
console.log(JSON.stringify({ requests: N_REQUESTS, resident_mib: resident, most_mib: most }));
