import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isNameKey } from './slots.ts';

/**
 * Open until it is decided: the batch that makes its put visible commits it, and a sweep, before it deletes anything,
 * condemns it. Each only changes an open one, so never both.
 */
type JournalState = 'open' | 'condemned' | 'committed';

export interface JournalHeader {
  /** Undefined: an earlier version wrote it, whose puts change their name whatever becomes of it. */
  readonly state?: JournalState | undefined;
  /** Which sweep condemned it. */
  readonly epoch?: string | undefined;
  /** Who runs the put; another takes over once this one is proven to be gone. */
  readonly owner: string;
  /** How often the state had been recovered when it began; undefined: an earlier version wrote it, or never. */
  readonly recoveries?: number | undefined;
  readonly nameKey?: string | undefined;
  /** Set once everything is stored, when the name is pointed; by earlier versions just before. */
  readonly manifest?: BlobAddress | undefined;
  /** What is to be dropped once the name no longer stands for it; at once if there is no name. */
  readonly obsolete?: BlobAddress | undefined;
}

export const encodeHeader = (header: JournalHeader): Uint8Array =>
  utf8Encode(JSON.stringify({ v: 2, ...header }));

const STATES: readonly JournalState[] = ['open', 'condemned', 'committed'];

/** Undefined for what is no header, or a damaged one: whose it is, or what it is of, cannot be told. */
export function headerIn(value: Uint8Array): JournalHeader | undefined {
  try {
    const read = JSON.parse(utf8Decode(value)) as Record<'v' | keyof JournalHeader, unknown>;
    const { v, state, epoch, owner, recoveries, nameKey, manifest, obsolete } = read;
    const whole =
      (v === 2 ? STATES.includes(state as JournalState) : v === undefined && state === undefined) &&
      typeof owner === 'string' &&
      (recoveries === undefined || Number.isSafeInteger(recoveries)) &&
      (nameKey === undefined || (typeof nameKey === 'string' && isNameKey(nameKey))) &&
      [manifest, obsolete].every((at) => at === undefined || (typeof at === 'string' && isBlobAddress(at)));
    return whole
      ? ({ state, epoch, owner, recoveries, nameKey, manifest, obsolete } as JournalHeader)
      : undefined;
  } catch {
    return undefined;
  }
}
