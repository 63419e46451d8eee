import type { BlobAddress } from '../core/address.ts';
import { type ErrorKind, isHoldfastError } from '../core/errors.ts';

/** Something that is not where, or not what, the manifest says. */
export interface Damage {
  readonly provider: string;
  readonly problem: DamageProblem;
  /** The pack or node. */
  readonly blob: BlobAddress;
  /** Chunk of the object and shard of the chunk; absent for nodes and whole packs. */
  readonly chunk?: number;
  readonly shard?: number;
  readonly detail?: string;
}

/** `missing`: the provider says it has no such blob. `corrupt`: wrong bytes. `unavailable`: no answer. */
export type DamageProblem = 'missing' | 'corrupt' | 'unavailable';

const CORRUPT: ReadonlySet<ErrorKind> = new Set(['HashMismatch', 'Corrupt', 'RangeNotSatisfiable']);

export function problemOf(error: unknown): DamageProblem {
  if (isHoldfastError(error, 'NotFound')) return 'missing';
  return isHoldfastError(error) && CORRUPT.has(error.kind) ? 'corrupt' : 'unavailable';
}

/** More than this many findings of one operation are counted, not listed. */
const MAX_LISTED = 10_000;

/** Collects damage, bounded. */
export class DamageLog {
  readonly found: Damage[] = [];
  total = 0;
  /** Whether any bytes were wrong, listed or not. */
  corrupt = false;

  add(damage: Damage): void {
    this.total++;
    this.corrupt ||= damage.problem === 'corrupt';
    if (this.found.length < MAX_LISTED) this.found.push(damage);
  }
}
