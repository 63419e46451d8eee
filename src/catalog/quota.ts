import type { AbortOptions } from '../core/abort.ts';
import { utf8Encode } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { type Change, changeEntries } from '../engine/change.ts';
import type { Engine, WriteOptions } from '../engine/engine.ts';
import type { Provider } from '../providers/provider.ts';

/** Bytes of logical quota that one credit buys. */
export const CREDIT_BYTES: number = 1024 ** 2;

export interface CreditBalance {
  /** Set by hand; undefined: the config sets no limit. */
  readonly configured: number | undefined;
  /** Earned by serving. */
  readonly earned: number;
}

/** What one provider served in an hour, by the root that its gateway signed. */
export interface ServedReads {
  readonly provider: string;
  /** Allowed reads, and those of them that their readers signed. */
  readonly reads: number;
  readonly signed: number;
  /** Different keys of those readers. */
  readonly readers: number;
  readonly bytes: number;
  readonly signedBytes: number;
  /** Bytes that the root credits: `signedBytes`, or 0 for a reason. */
  readonly credited: number;
  readonly reason?: string | undefined;
}

/** An hour of one gateway whose root is anchored. */
export interface SettledEpoch {
  /** Public key of the gateway. */
  readonly gateway: Uint8Array;
  /** Hours since the Unix epoch. */
  readonly epoch: number;
  /** BLAKE3 of the root's file. */
  readonly digest: Uint8Array;
  readonly providers: readonly ServedReads[];
}

/** Who knows what a provider's quota is, and credits what it served. */
export interface Settlement {
  balanceSplit(provider: Provider, options?: AbortOptions): Promise<CreditBalance>;
  /**
   * Credits what was read in an hour, once for each gateway and epoch, however often and by however many processes it is
   * called. When it resolves, the hour is booked and stays so. Left out: nobody earns anything.
   */
  issueRead?(epoch: SettledEpoch, options?: AbortOptions): Promise<'credited' | 'already'>;
  /** Digest of the root for which an hour of a gateway was booked; undefined: it is not. There where `issueRead` is. */
  bookedRead?(gateway: Uint8Array, epoch: number, options?: AbortOptions): Promise<Uint8Array | undefined>;
}

/** Only what the config says. */
export const configuredCredits: Settlement = {
  balanceSplit: async (provider) => ({ configured: provider.credits, earned: 0 }),
};

/** Infinity when unlimited. @throws HoldfastError `Corrupt` for credits that are no amount. */
export function quotaBytes(balance: CreditBalance, zeroCreditsUnlimited: boolean): number {
  const { configured, earned } = balance;
  if (!isAmount(earned) || !isAmount(configured ?? 0)) {
    throw new HoldfastError('Corrupt', 'a credit balance is not a finite number of zero or more');
  }
  if (configured === undefined || (configured === 0 && zeroCreditsUnlimited)) return Number.POSITIVE_INFINITY;
  return Math.floor((configured + earned) * CREDIT_BYTES);
}

const isAmount = (value: number): boolean => Number.isFinite(value) && value >= 0;

/** Table of the bytes stored at each provider; the key is the provider's id, the value JSON. */
const USAGE_TABLE = 'provider_usage';

export interface UsageStore {
  load(providerId: string, options?: AbortOptions): Promise<number>;
  /** The record as it stands, for {@link UsageStore.replace}. */
  stored(providerId: string): Promise<StoredUsage>;
  /** @returns false when the record is no longer `expected`. A damaged one is always replaced. */
  replace(providerId: string, expected: StoredUsage, bytes: number): Promise<boolean>;
  /**
   * Adds to what is stored, whoever else does; never goes under 0.
   * @returns the sums, and why nothing was added to others, such as Corrupt for what cannot be read.
   * @throws Conflict when they keep changing, and what the engine throws.
   */
  add(bytes: ReadonlyMap<string, number>, options?: WriteOptions): Promise<UsageAdded>;
}

interface UsageAdded {
  readonly sums: ReadonlyMap<string, number>;
  readonly failures: ReadonlyMap<string, unknown>;
}

/** Undefined: there is none. What the engine finds damaged cannot be compared with anything. */
type StoredUsage = Uint8Array | 'damaged' | undefined;

export function createUsageStore(engine: Engine): UsageStore {
  const table = engine.table(USAGE_TABLE);
  return {
    async load(providerId, options = {}) {
      return decodeUsage(await table.get(providerId, options), providerId);
    },
    stored: (providerId) =>
      table.get(providerId).catch((error: unknown) => {
        if (isHoldfastError(error, 'Corrupt')) return 'damaged';
        throw error;
      }),
    async replace(providerId, expected, bytes) {
      if (expected !== 'damaged') {
        return table.compareAndSet(providerId, expected, encodeUsage(bytes), { sync: true });
      }
      await table.put(providerId, encodeUsage(bytes), { sync: true });
      return true;
    },
    async add(bytes, options = {}) {
      const sums = new Map<string, number>();
      const each = [...bytes].map(([id, more]): [string, Change] => [
        id,
        (stored) => {
          const sum = Math.min(Math.max(0, decodeUsage(stored, id) + more), Number.MAX_SAFE_INTEGER);
          sums.set(id, sum);
          return encodeUsage(sum);
        },
      ]);
      const failures = await changeEntries(engine, USAGE_TABLE, new Map(each), options);
      for (const id of failures.keys()) sums.delete(id);
      return { sums, failures };
    },
  };
}

const encodeUsage = (sum: number): Uint8Array => utf8Encode(JSON.stringify({ v: 1, used_bytes: sum }));

const USAGE = /^\{"v":1,"used_bytes":(0|[1-9][0-9]{0,15})\}$/;

function decodeUsage(bytes: Uint8Array | undefined, providerId: string): number {
  if (bytes === undefined) return 0;
  const used = Number(USAGE.exec(new TextDecoder().decode(bytes))?.[1]);
  if (Number.isSafeInteger(used)) return used;
  throw new HoldfastError('Corrupt', `the stored usage of ${providerId} cannot be read`, {
    code: 'usage_corrupt',
    provider: providerId,
  });
}
