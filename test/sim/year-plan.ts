import type { Stream } from './streams.ts';

/** Providers at the beginning, two of each account. */
export const PROVIDERS = 10;
const PER_ACCOUNT = 2;
/** Of a year. */
export const DEATHS = 0.1;
export const ROT = 0.01;
/** How old the data are that one comes back with, and how long it was away; of a year. */
const OLD = 20 / 365;
const AWAY = 15 / 365;
/** The part of a year in which the account dies. */
const ACCOUNT_DIES = [0.2, 0.9] as const;

/** What comes over the providers in a year, by day. Providers count from 0. */
export interface Calamities {
  readonly deaths: readonly { readonly provider: number; readonly day: number }[];
  readonly returned: {
    readonly provider: number;
    readonly copied: number;
    readonly away: number;
    readonly back: number;
  };
}

/** Each provider dies with the probability of a year, one account as a whole, and one comes back with old data. */
export function calamitiesOf(draw: Stream, days: number): Calamities {
  const dayOf = (share: number): number => Math.floor(share * days);
  const account = draw.between(0, PROVIDERS / PER_ACCOUNT - 1);
  const [first, last] = ACCOUNT_DIES;
  const accountDay = dayOf(first + (last - first) * draw.next());
  const back =
    (account * PER_ACCOUNT + PER_ACCOUNT + draw.between(0, PROVIDERS - PER_ACCOUNT - 1)) % PROVIDERS;
  const backAt = 0.2 + 0.6 * draw.next();
  const deaths: { provider: number; day: number }[] = [];
  for (let provider = 0; provider < PROVIDERS; provider++) {
    const share = -Math.log(1 - draw.next()) / DEATHS;
    if (Math.floor(provider / PER_ACCOUNT) === account) deaths.push({ provider, day: accountDay });
    else if (share < 1 && provider !== back) deaths.push({ provider, day: dayOf(share) });
  }
  const [copied, away, isBack] = [backAt - OLD, backAt, backAt + AWAY].map(dayOf) as [number, number, number];
  return { deaths, returned: { provider: back, copied, away, back: isBack } };
}

interface Promised {
  readonly objects: number;
  readonly shards: number;
  /** Losses that the certificate allows. */
  readonly tolerates: number;
}

/** How long a loss lasts, in years: a provider's until it is rebuilt elsewhere, and a rotten blob's until it is found. */
export interface Windows {
  readonly death: number;
  readonly rot: number;
}

const choose = (n: number, k: number): number => {
  let ways = 1;
  for (let i = 1; i <= k; i++) ways = (ways * (n - k + i)) / i;
  return ways;
};

/** At least so many of n, each with this probability. */
const atLeast = (k: number, n: number, p: number): number => {
  let sum = 0;
  for (let i = Math.max(0, k); i <= n; i++) sum += choose(n, i) * p ** i * (1 - p) ** (n - i);
  return sum;
};

const STEPS = 100;

/**
 * Objects that are to be expected lost by the certificate: more losses than it allows overlap. Half of the objects are there from
 * the beginning, the others come evenly over the year. Without windows nothing is ever rebuilt: all losses overlap.
 */
export function expectedLosses({ objects, ...promise }: Promised, windows?: Windows): number {
  let later = 0;
  for (let i = 0; i < STEPS; i++) later += lossOf(promise, (i + 0.5) / STEPS, windows) / STEPS;
  return (objects / 2) * (lossOf(promise, 0, windows) + later);
}

/** The probability that an object is lost that was put when so much of the year was over. */
function lossOf(
  { shards, tolerates }: Omit<Promised, 'objects'>,
  putAt: number,
  windows: Windows | undefined,
): number {
  // One provider more goes, and comes back.
  const rate = DEATHS + ROT + (windows === undefined ? 0 : 1 / PROVIDERS);
  const gone =
    windows === undefined
      ? 1 - Math.exp(-rate * (1 - putAt))
      : (rate - ROT) * windows.death + ROT * windows.rot;
  const meanwhile = windows === undefined ? 0 : rate * windows.death;
  const [first, last] = ACCOUNT_DIES;
  const sees = Math.max(0, Math.min(1, (last - putAt) / (last - first)));
  // Without the account's death: all that it allows are gone, and one more goes; or that many go in the end.
  const alone =
    windows === undefined
      ? atLeast(tolerates + 1, shards, gone)
      : (1 - putAt) * shards * rate * choose(shards - 1, tolerates) * gone ** tolerates;
  let withAccount = windows === undefined ? 0 : alone;
  // By how many of its shards are at the account that dies.
  for (let hit = 0; hit <= PER_ACCOUNT; hit++) {
    const ways =
      (choose(PER_ACCOUNT, hit) * choose(PROVIDERS - PER_ACCOUNT, shards - hit)) / choose(PROVIDERS, shards);
    withAccount += ways * atLeast(tolerates + 1 - hit, shards - hit, gone + meanwhile);
  }
  return sees * withAccount + (1 - sees) * alone;
}
