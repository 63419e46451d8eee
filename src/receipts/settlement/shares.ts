import type { ServedReads, SettledEpoch } from '../../catalog/quota.ts';
import type { Unpaid, UnpaidReason } from './entries.ts';

/** What bounds that somebody earns by reading what is their own: docs/threat-model.md, "Receipts". */
export interface RewardTerms {
  /** Thousandths of all that was ever put into the pool, which one hour of one gateway may earn. */
  readonly epochShare: number;
  /** Thousandths of that, which one provider may earn of it. */
  readonly providerShare: number;
  /** Different keys of readers without which a provider earns nothing in the hour. */
  readonly minReaders: number;
}

/** In bytes of credit. */
export interface PoolState {
  /** Ever put in. */
  readonly funded: bigint;
  /** What is left. */
  readonly left: bigint;
}

export interface Shares {
  readonly paid: ReadonlyMap<string, bigint>;
  readonly unpaid: readonly Unpaid[];
}

const THOUSAND = 1_000n;
/** Ids that a configuration may have. A root may name others. */
const PROVIDER_ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;

/**
 * What each provider earns by an hour's root: a byte of credit for each byte that readers acknowledged, as far as the terms
 * and the pool reach. Where the hour's part does not reach, all get the same share of theirs. What is not paid is owed by nobody.
 */
export function shareOut(
  { providers }: Pick<SettledEpoch, 'providers'>,
  pool: PoolState,
  terms: RewardTerms,
): Shares {
  const budget = (pool.funded * BigInt(terms.epochShare)) / THOUSAND;
  const cap = (budget * BigInt(terms.providerShare)) / THOUSAND;
  const unpaid: Unpaid[] = [];
  const wanted = new Map<string, bigint>();
  for (const one of providers) {
    if (one.credited === 0 && one.reason === undefined) continue;
    const reason = refusal(one, terms);
    if (reason !== undefined) unpaid.push({ provider: one.provider, reason });
    else wanted.set(one.provider, BigInt(one.credited));
  }
  const capped = new Map([...wanted].map(([provider, bytes]) => [provider, least(bytes, cap)]));
  const sum = [...capped.values()].reduce((total, bytes) => total + bytes, 0n);
  const most = least(budget, pool.left);
  const paid = new Map<string, bigint>();
  for (const [provider, bytes] of capped) {
    const amount = sum <= most ? bytes : (bytes * most) / sum;
    if (amount > 0n) paid.set(provider, amount);
    if (amount === wanted.get(provider)) continue;
    const reason = bytes === amount ? 'provider_cap' : most < budget ? 'pool_empty' : 'epoch_cap';
    unpaid.push({ provider, reason });
  }
  return { paid, unpaid };
}

function refusal(one: ServedReads, { minReaders }: RewardTerms): UnpaidReason | undefined {
  if (!PROVIDER_ID.test(one.provider)) return 'unknown_provider';
  // A root says so itself; one that does not is not believed for it.
  if (one.credited === 0 || 10 * one.signed < one.reads) return 'few_signed';
  return one.readers < minReaders ? 'few_readers' : undefined;
}

/** Why a root contradicts itself; undefined where it does not. */
export function contradiction({ providers }: Pick<SettledEpoch, 'providers'>): string | undefined {
  if (new Set(providers.map(({ provider }) => provider)).size < providers.length)
    return 'it names a provider twice';
  for (const { provider, reads, signed, readers, bytes, signedBytes, credited } of providers) {
    const right = signed <= reads && readers <= signed && signedBytes <= bytes;
    const earned = credited === 0 || credited === signedBytes;
    if (!right || !earned) return `what it says of ${JSON.stringify(provider)} cannot be`;
  }
  return undefined;
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
