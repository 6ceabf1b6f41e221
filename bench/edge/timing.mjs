// The clock for decisions: batches of the contestants in turn, round after round.
//
// A machine's speed changes from one second to the next. Contestants are therefore measured side by side, and the ratio
// is taken within each round before the median over all rounds.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { isForwarded } from './events.mjs';

/** Rounds that only warm up the engine's compiler. */
const WARM_UP_ROUNDS = 4;
/** The minimum number of rounds, however short the time: a median of fewer is unreliable. */
const MIN_ROUNDS = 7;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

/**
 * Times contestants (`{name, handler}`, Gatepost first) until the time is over.
 *
 * `textsOf(round)` returns the events of a round as JSON; every contestant gets the same ones. A contestant with a
 * `time(texts)` in place of a handler measures itself, and returns microseconds.
 */
export async function timeDecisions(contestants, textsOf, seconds) {
  const samples = contestants.map(() => []);
  let end = Infinity;
  for (let round = 0; round < WARM_UP_ROUNDS + MIN_ROUNDS || performance.now() < end; round += 1) {
    if (round === WARM_UP_ROUNDS) end = performance.now() + seconds * 1000;
    const texts = textsOf(round);
    // Each round starts with a different contestant, so that none always runs after the same neighbour.
    for (let turn = 0; turn < contestants.length; turn += 1) {
      const idx = (round + turn) % contestants.length;
      const contestant = contestants[idx];
      const micros = await (contestant.time ? contestant.time(texts) : timeBatch(contestant, texts));
      if (round >= WARM_UP_ROUNDS) samples[idx].push(micros);
    }
  }
  return contestants.map(({ name }, idx) => summary(name, samples[idx], samples[0]));
}

/** Microseconds per decision. */
async function timeBatch({ name, handler }, texts) {
  // Handlers change their event, so each call gets a fresh one, as in Lambda. Parsing it is Lambda's work and not
  // timed.
  const events = texts.map((text) => JSON.parse(text));
  const answers = new Array(events.length);
  // Moves the events and earlier garbage out of the collector's way before the clock starts: the first call moves live
  // objects, the second one promotes them to the old generation. Not a full collection: after one, everything is slower
  // for a while.
  collectGarbage({ type: 'minor' });
  collectGarbage({ type: 'minor' });
  const started = performance.now();
  for (let idx = 0; idx < events.length; idx += 1) answers[idx] = await handler(events[idx]);
  const elapsed = performance.now() - started;
  if (!answers.every(isForwarded)) throw new Error(`${name} refused a request that it should have allowed`);
  return (elapsed * 1000) / events.length;
}

/** The reported figures of a contestant's samples; `ours` are Gatepost's in the same rounds. */
export function summary(name, samples, ours) {
  const ratios = samples.map((sample, round) => sample / ours[round]);
  return {
    contestant: name,
    median: quantile(samples, 0.5),
    ratio: quantile(ratios, 0.5),
    ratio_quartiles: [quantile(ratios, 0.25), quantile(ratios, 0.75)],
    rounds: samples.length,
  };
}

function quantile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.ceil(at);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}
