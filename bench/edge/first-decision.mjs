// Runs in a separate process: loads a handler and lets it decide once. `loading.mjs` starts it.
//
//     node first-decision.mjs URL EVENT
//
// It imports nothing, so that the handler itself loads every dependency, within the measured time.

const [url, text] = process.argv.slice(2);
const event = JSON.parse(text);

const started = performance.now();
const { handler } = await import(url);
const answer = await handler(event);
const ms = performance.now() - started;

process.stdout.write(`${JSON.stringify({ ms, answer })}\n`);
