// Runs viewer requests through a handler as Lambda would: one event a line in, one answer a line out.
//
//     node runner.mjs INDEX [NOW]
//
// in:  {"event": {…}, "now": milliseconds}
// out: {"fault": null} once, or why the handler cannot decide on anything; then
//      {"answer": {…}, "log": ["…"], "micros": n}
//
// NOW is the time at which the handler starts, in milliseconds; without it the clock's.

import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const [, , index, startsAt] = process.argv;
// The handler fetches keys while it starts, by the clock: it must not be another one than that of the events.
if (startsAt !== undefined) Date.now = () => Number(startsAt);
const { answer, startFault } = await import(pathToFileURL(index));

const write = process.stdout.write.bind(process.stdout);
let log = [];
// The handler's log is part of its outcome.
process.stdout.write = (text) => {
  log.push(
    ...String(text)
      .split('\n')
      .filter((line) => line !== ''),
  );
  return true;
};

write(`${JSON.stringify({ fault: startFault === undefined ? null : String(startFault?.message ?? startFault) })}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const { event, now } = JSON.parse(line);
  log = [];
  const started = process.hrtime.bigint();
  const answered = await answer(event, () => now);
  const micros = Number((process.hrtime.bigint() - started) / 1000n);
  write(`${JSON.stringify({ answer: answered, log, micros })}\n`);
}
