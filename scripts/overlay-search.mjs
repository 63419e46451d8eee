// Looks for a better overlay of the default code and prints how often each one decodes.
//
//   npm run build && node scripts/overlay-search.mjs [--seconds 120] [--seed 1] [--deepest 9]
//
// A candidate is three sets of data shards. Steepest descent over single members from random starts makes patterns of
// five lost shards that do not decode as few as can be, then those of six. Of what descents end in, the one is kept
// that loses a chunk least often where every shard is lost with a chance of one in ten. The seed makes a run
// repeatable but for where the clock ends it.

import { parseArgs } from 'node:util';
import { cauchyRows, groupsOf } from '../dist/coding/erasure/generator.js';
import { createLinearCode, DEFAULT_LRC } from '../dist/coding/erasure/index.js';
import { maskTester } from '../dist/coding/erasure/masks.js';

const DATA = 16;
/** Failures of six lost over which the deeper ones are not counted. */
const WORTH_A_LOOK = 12;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: '1' },
    deepest: { type: 'string', default: '9' },
  },
});

const base = [
  ...groupsOf(DATA, 5).map((group) => rowOf(group.reduce((mask, i) => mask | (1 << i), 0))),
  ...cauchyRows(DATA, 4).slice(1),
];

function rowOf(mask) {
  return Uint8Array.from({ length: DATA }, (_, i) => (mask >> i) & 1);
}

/** How many ways to lose `lost` of `total` shards cannot be decoded; stops counting over `enough`. */
function failures(tester, total, lost, enough = Number.POSITIVE_INFINITY) {
  const all = 2 ** total - 1;
  let failed = 0;
  for (let pattern = 2 ** lost - 1; pattern <= all; ) {
    if (!tester.decodable(all & ~pattern) && ++failed > enough) return failed;
    const lowest = pattern & -pattern;
    const carried = pattern + lowest;
    pattern = carried | (((carried ^ pattern) >>> 2) / lowest);
  }
  return failed;
}

const testerOf = (masks) => maskTester(DATA, [...base, ...masks.map(rowOf)]);

/** Failures of five and six lost, as one number to make small; over `limit` the exact value does not matter. */
function score(masks, limit) {
  const tester = testerOf(masks);
  const five = failures(tester, 27, 5, Math.floor(limit / 1e6));
  if (five * 1e6 > limit) return Number.POSITIVE_INFINITY;
  return five * 1e6 + failures(tester, 27, 6, limit - five * 1e6);
}

let state = Number(values.seed) >>> 0 || 1;
function random(bound) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % bound;
}

function descend(start, deadline) {
  let best = start;
  let least = score(start, 1e12);
  for (let improved = true; improved && Date.now() < deadline; ) {
    improved = false;
    for (let bit = 0; bit < 3 * DATA && Date.now() < deadline; bit++) {
      const masks = best.map((mask, i) => (i === Math.floor(bit / DATA) ? mask ^ (1 << (bit % DATA)) : mask));
      const value = score(masks, least);
      if (value < least) {
        [best, least] = [masks, value];
        improved = true;
      }
    }
  }
  return { masks: best, least };
}

/** The chance, up to a factor, that six to nine shards of 27 are lost, each with a chance of 1/10, and not decodable. */
function lossChance(masks) {
  const tester = testerOf(masks);
  return [6, 7, 8, 9].reduce((sum, lost) => sum + failures(tester, 27, lost) / 9 ** (lost - 6), 0);
}

function search(seconds, pinned) {
  const deadline = Date.now() + seconds * 1000;
  let best = { masks: pinned, chance: lossChance(pinned) };
  let starts = 0;
  for (; Date.now() < deadline; starts++) {
    const from = starts === 0 ? pinned : Array.from({ length: 3 }, () => random(2 ** DATA - 1) + 1);
    const { masks, least } = descend(from, deadline);
    if (least > WORTH_A_LOOK) continue;
    const chance = lossChance(masks);
    if (chance >= best.chance) continue;
    best = { masks, chance };
    console.log(`start ${starts}: ${format(masks)} fails ${least} of six lost, chance ${chance.toFixed(1)}`);
  }
  console.log(`${starts} starts in ${seconds} s, seed ${values.seed}`);
  return best.masks;
}

const membersOf = (mask) => Array.from({ length: DATA }, (_, i) => i).filter((i) => (mask >> i) & 1);
const format = (masks) => masks.map((mask) => `{${membersOf(mask).join(',')}}`).join(' ');

function binomial(n, k) {
  let out = 1;
  for (let i = 1; i <= k; i++) out = (out * (n - k + i)) / i;
  return Math.round(out);
}

function printTable(rows) {
  const depths = Array.from({ length: Number(values.deepest) - 3 }, (_, i) => 4 + i);
  console.log(`\n${'lost'.padEnd(22)}${depths.map((lost) => String(lost).padStart(22)).join('')}`);
  for (const [name, masks] of rows) {
    const total = 24 + masks.length;
    const cells = depths.map((lost) => {
      const patterns = binomial(total, lost);
      return `${patterns - failures(testerOf(masks), total, lost)} / ${patterns}`.padStart(22);
    });
    console.log(`${name.padEnd(22)}${cells.join('')}`);
  }
}

const generator = createLinearCode(DEFAULT_LRC).generator;
const pinned = generator.slice(24).map((row) => row.reduce((mask, one, i) => mask | (one << i), 0));
const found = search(Number(values.seconds), pinned);
printTable([
  ['no overlay (24)', []],
  ['pair', [3, 3, 3]],
  ['wide, pinned', pinned],
  ['wide, best found', found],
]);
console.log(`\npinned     ${format(pinned)}\nbest found ${format(found)}`);
