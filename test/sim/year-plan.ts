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
  const accountDay = dayOf(0.2 + 0.7 * draw.next());
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

interface Promise {
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

/**
 * Objects that are to be expected lost by the certificate: more losses than it allows overlap. Without windows nothing is ever
 * rebuilt, so all losses of the year overlap.
 */
export function expectedLosses({ objects, shards, tolerates }: Promise, windows?: Windows): number {
  // One provider more goes, and comes back.
  const deaths = DEATHS + 1 / PROVIDERS;
  const gone =
    windows === undefined ? 1 - Math.exp(-deaths - ROT) : deaths * windows.death + ROT * windows.rot;
  let perObject = 0;
  // By how many of its shards were at the account that died.
  for (let hit = 0; hit <= PER_ACCOUNT; hit++) {
    const ways =
      (choose(PER_ACCOUNT, hit) * choose(PROVIDERS - PER_ACCOUNT, shards - hit)) / choose(PROVIDERS, shards);
    const meanwhile = windows === undefined ? 0 : (deaths + ROT) * windows.death;
    perObject += ways * atLeast(tolerates + 1 - hit, shards - hit, gone + meanwhile);
  }
  if (windows === undefined) return objects * perObject;
  // Beside the account's death: one loss more while as many are there as it allows.
  const alone = shards * (deaths + ROT) * choose(shards - 1, tolerates) * gone ** tolerates;
  return objects * (perObject + alone);
}
