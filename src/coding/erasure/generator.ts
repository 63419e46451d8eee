import { bitWeight, divide } from './gf256.ts';
import type { CodeParams, LrcParams } from './params.ts';

export type ShardKind = 'data' | 'local' | 'global' | 'overlay' | 'parity' | 'copy';

/** One row per shard: the coefficients over GF(2^8) that make it from the data shards. */
export interface Generator {
  readonly rows: readonly Uint8Array[];
  readonly kinds: readonly ShardKind[];
}

/** @param params validated. */
export function generatorOf(params: CodeParams): Generator {
  switch (params.algorithm) {
    case 'lrc':
      return lrc(params);
    case 'reed-solomon':
      return systematic(params.dataShards, cauchyRows(params.dataShards, params.parityShards), 'parity');
    case 'xor':
      return systematic(params.dataShards, repeat(params.parityShards, ones(params.dataShards)), 'parity');
    case 'replica':
      return {
        rows: repeat(params.copies, ones(1)),
        kinds: ['data', ...repeat(params.copies - 1, 'copy' as const)],
      };
  }
}

function lrc(params: LrcParams): Generator {
  const { dataShards, globalParity, fountainShards } = params;
  const locals = groupsOf(dataShards, params.localParity).map((group) => sumOf(dataShards, group));
  // The first Cauchy row is the sum of all data, hence of all locals: it would add nothing here.
  const globals = cauchyRows(dataShards, globalParity + 1).slice(1);
  const overlay = overlayOf(params).map((members) => sumOf(dataShards, members));
  const base = systematic(dataShards, [...locals, ...globals, ...overlay], 'local');
  const kinds = [...base.kinds];
  kinds.fill('global', dataShards + locals.length);
  kinds.fill('overlay', kinds.length - fountainShards);
  return { rows: base.rows, kinds };
}

/** Data shards 0…K−1 in `parts` runs, as even as can be, the larger ones first. */
export function groupsOf(dataShards: number, parts: number): number[][] {
  const least = Math.floor(dataShards / parts);
  const larger = dataShards % parts;
  let next = 0;
  return Array.from({ length: parts }, (_, g) =>
    Array.from({ length: g < larger ? least + 1 : least }, () => next++),
  );
}

/** Found by `scripts/overlay-search.mjs --seconds 300 --seed 3` for 16 data, 5 local, 3 global shards. Never changes. */
const WIDE_16: readonly (readonly number[])[] = [
  [0, 1, 2, 4, 6, 8, 9, 11, 12, 13, 14],
  [0, 1, 3, 4, 6, 7, 8, 10, 11, 13, 15],
  [0, 2, 3, 5, 6, 7, 9, 11, 14, 15],
];

function overlayOf(params: LrcParams): number[][] {
  const { dataShards, fountainKind, fountainShards } = params;
  if (fountainKind === 'none') return [];
  if (fountainKind === 'pair') return repeat(fountainShards, [0, 1]);
  const pinned = dataShards === 16 ? WIDE_16.slice(0, fountainShards).map((set) => [...set]) : [];
  return [...pinned, ...drawn(dataShards, fountainShards - pinned.length)];
}

/** Half of the data shards each, by a fixed generator, for shapes that no search was made for. */
function drawn(dataShards: number, sets: number): number[][] {
  let state = dataShards;
  const draw = (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
  return Array.from({ length: sets }, () => {
    const order = Array.from({ length: dataShards }, (_, i) => i);
    for (let i = dataShards - 1; i > 0; i--) {
      const j = draw(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order.slice(0, Math.ceil((dataShards + 1) / 2)).sort((a, b) => a - b);
  });
}

/**
 * A Cauchy matrix 1 / (y ⊕ x) with columns scaled so that its first row is all ones and every other row divided
 * by that element of its own which leaves the fewest ones in its bits. Any square part of it is invertible.
 * x counts from 22 and y from 212, as in the (16, 4) code of `@ronomon/reed-solomon`, whose matrix this is;
 * shapes too large for that let x count from 0 and y end at 255.
 */
export function cauchyRows(columns: number, rows: number): Uint8Array[] {
  const fits = columns <= 190 && rows <= 44;
  const x = fits ? 22 : 0;
  const y = fits ? 212 : 256 - rows;
  const first = Uint8Array.from({ length: columns }, (_, c) => divide(1, y ^ (x + c)));
  return Array.from({ length: rows }, (_, r) => {
    const row = first.map((scale, c) => divide(divide(1, (y + r) ^ (x + c)), scale));
    return lightest(row);
  });
}

function lightest(row: Uint8Array): Uint8Array {
  let best = row;
  let least = weightOf(row);
  for (const divisor of row) {
    const scaled = row.map((element) => divide(element, divisor));
    const weight = weightOf(scaled);
    if (weight < least) [best, least] = [scaled, weight];
  }
  return best;
}

const weightOf = (row: Uint8Array): number => row.reduce((sum, element) => sum + WEIGHTS[element]!, 0);
const WEIGHTS = Uint8Array.from({ length: 256 }, (_, element) => bitWeight(element));

function systematic(dataShards: number, parity: readonly Uint8Array[], kind: ShardKind): Generator {
  const identity = Array.from({ length: dataShards }, (_, i) => sumOf(dataShards, [i]));
  return {
    rows: [...identity, ...parity],
    kinds: [...repeat(dataShards, 'data' as const), ...repeat(parity.length, kind)],
  };
}

function sumOf(dataShards: number, members: readonly number[]): Uint8Array {
  const row = new Uint8Array(dataShards);
  for (const member of members) row[member] = 1;
  return row;
}

const ones = (length: number): Uint8Array => new Uint8Array(length).fill(1);
const repeat = <T>(times: number, value: T): T[] => new Array<T>(times).fill(value);
