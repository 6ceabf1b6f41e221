// The clock for decisions: batches of the contestants in turn, round after round.
//
// A machine is not equally fast from one second to the next. What is compared is therefore measured side by side, and
// a ratio is taken within each round before the median is taken over all.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { isForwarded } from './events.mjs';

/** Rounds that only let the engine compile what it runs. */
const WARM_UP_ROUNDS = 4;
/** However short the time, a median of fewer says little. */
const MIN_ROUNDS = 7;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc');

/**
 * Times contestants (`{name, handler}`, the first of them ours) until the time is over.
 *
 * `textsOf(round)` answers with the events of a round as JSON; every contestant gets the same ones. A contestant with a
 * `time(texts)` in place of a handler holds the clock itself, and answers with microseconds.
 */
export async function timeDecisions(contestants, textsOf, seconds) {
  const samples = contestants.map(() => []);
  let end = Infinity;
  for (let round = 0; round < WARM_UP_ROUNDS + MIN_ROUNDS || performance.now() < end; round += 1) {
    if (round === WARM_UP_ROUNDS) end = performance.now() + seconds * 1000;
    const texts = textsOf(round);
    // Each round begins with another one: nobody always runs after the same neighbour.
    for (let turn = 0; turn < contestants.length; turn += 1) {
      const idx = (round + turn) % contestants.length;
      const contestant = contestants[idx];
      const micros = await (contestant.time ? contestant.time(texts) : timeBatch(contestant, texts));
      if (round >= WARM_UP_ROUNDS) samples[idx].push(micros);
    }
  }
  return contestants.map(({ name }, idx) => summary(name, samples[idx], samples[0]));
}

/** Microseconds a decision. */
async function timeBatch({ name, handler }, texts) {
  // Handlers change the event that they are given, so each call has one of its own, as in Lambda. Making it is
  // Lambda's work and not timed.
  const events = texts.map((text) => JSON.parse(text));
  const answers = new Array(events.length);
  // The events and what the others left behind are out of the collector's way before the clock starts: the first time
  // it moves what is alive, the second time to the old generation. Not a full collection: after one, all are slower for a while.
  collectGarbage({ type: 'minor' });
  collectGarbage({ type: 'minor' });
  const started = performance.now();
  for (let idx = 0; idx < events.length; idx += 1) answers[idx] = await handler(events[idx]);
  const elapsed = performance.now() - started;
  if (!answers.every(isForwarded)) throw new Error(`${name} refused a request that it should have let go on`);
  return (elapsed * 1000) / events.length;
}

/** What is reported of a contestant's samples; `ours` are those of the same rounds. */
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
