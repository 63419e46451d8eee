import type { AbortOptions } from '../core/abort.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import type { OwnerStanding, Owners } from '../engine/index.ts';
import type { RecordsContext } from './context.ts';
import { choreNoted, UPKEEP_TABLE } from './usage.ts';

/** Who is at work on the state, and who has gone and left work to others. */
export interface Leases {
  /**
   * Whether an owner's journals may be taken over: its lock is free; or it has none that can be tried, and this machine
   * has seen its journals stand still for {@link LEASE_MS}.
   * @param mark differs whenever the owner has written to its journals.
   */
  isOver(owner: string, mark: string, options?: AbortOptions): Promise<boolean>;
  /** Whether an owner that was at work then will do nothing any more; one whose lock cannot be tried, 24 hours after. */
  isGone(owner: string, sinceMs: number): Promise<boolean>;
  /** Whether an owner is at work, as far as its lock tells. */
  standing(owner: string): Promise<OwnerStanding>;
  /** Removes what was kept of owners that are not named any more. */
  tidy(named: ReadonlySet<string>, options?: AbortOptions): Promise<void>;
}

/** Far longer than a living put goes without a word in its journal. @internal Tests wait for it. */
export const LEASE_MS: number = 24 * 3_600_000;

const PREFIX = 'lease/';

/** @param uptimeMs how long this machine has been up: the one clock that runs on between runs and that nobody sets. */
export function createLeases(
  { engine, blake3, clock, random }: Pick<RecordsContext, 'engine' | 'blake3' | 'clock' | 'random'>,
  owners: Pick<Owners, 'standing' | 'host' | 'tidy'>,
  uptimeMs: () => number,
): Leases {
  const table = engine.table(UPKEEP_TABLE);
  const keyOf = async (owner: string): Promise<string> =>
    `${PREFIX}${await owners.host()}/${toHex(blake3.hash(utf8Encode(owner)))}`;

  const hasStoodStill = async (owner: string, mark: string, options: AbortOptions): Promise<boolean> => {
    const now = Math.floor(uptimeMs());
    const key = await keyOf(owner);
    const before = await choreNoted({ engine, random }, key, options);
    const seen = before && seenIn(before);
    if (seen?.mark === mark && seen.sinceMs <= now) return now - seen.sinceMs >= LEASE_MS;
    await table.compareAndSet(
      key,
      before,
      utf8Encode(JSON.stringify({ v: 1, mark, since_ms: now })),
      options,
    );
    return false;
  };

  return {
    standing: (owner) => owners.standing(owner),
    async isOver(owner, mark, options = {}) {
      const standing = await owners.standing(owner);
      return standing === 'unknown' ? hasStoodStill(owner, mark, options) : standing === 'dead';
    },
    async isGone(owner, sinceMs) {
      const standing = await owners.standing(owner);
      return standing === 'unknown' ? Math.abs(clock.now() - sinceMs) >= LEASE_MS : standing === 'dead';
    },
    async tidy(named, options = {}) {
      await owners.tidy(named);
      const kept = new Set(await Promise.all([...named].map(keyOf)));
      const own = `${PREFIX}${await owners.host()}/`;
      const ops = [];
      for await (const [key] of table.entries({ ...options, prefix: own, limit: MAX_TIDIED })) {
        if (!kept.has(key)) ops.push({ table: UPKEEP_TABLE, key, value: undefined });
      }
      if (ops.length > 0) await engine.batch(ops, [], options);
    },
  };
}

const MAX_TIDIED = 1024;

interface Seen {
  readonly mark: string;
  /** By the machine's uptime. */
  readonly sinceMs: number;
}

function seenIn(stored: Uint8Array): Seen | undefined {
  try {
    const { v, mark, since_ms: sinceMs } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    return v === 1 && typeof mark === 'string' && Number.isSafeInteger(sinceMs)
      ? { mark, sinceMs: sinceMs as number }
      : undefined;
  } catch {
    return undefined;
  }
}
