import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { BatchOp, EntriesOptions, Precondition } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';
import { BACKOFF_TABLE, manifestStands } from './manifests.ts';

const FIRST_MS = 60_000;
const LONGEST_MS = 6 * 3_600_000;
/** A wait is shorter by up to this share, so that chunks that failed together do not come back together. */
const JITTER = 0.25;
/** Longer messages of errors are cut. */
const MAX_ERROR = 300;

/** A chunk that could not be repaired. */
export interface RepairBackoff {
  readonly manifest: BlobAddress;
  readonly chunk: number;
  /** How often it was tried in vain. */
  readonly attempts: number;
  /** Not before, in milliseconds since 1970. */
  readonly nextMs: number;
  /** Why, the last time. */
  readonly error: string;
}

type BackoffContext = Pick<RecordsContext, 'engine' | 'clock' | 'random'>;

const keyOf = (manifest: BlobAddress, chunk: number): string =>
  `${manifest}/${String(chunk).padStart(10, '0')}`;

/**
 * What stands in the way of trying now; undefined: nothing does. A time that is further ahead than any wait was
 * written under another clock, and keeps nothing from being tried.
 */
export async function backoffOf(
  { engine, clock }: BackoffContext,
  manifest: BlobAddress,
  chunk: number,
  options: AbortOptions = {},
): Promise<RepairBackoff | undefined> {
  const found = await readBackoff({ engine }, manifest, chunk, options);
  const waitMs = found === undefined ? 0 : found.nextMs - clock.now();
  return waitMs > 0 && waitMs <= LONGEST_MS ? found : undefined;
}

async function readBackoff(
  { engine }: Pick<BackoffContext, 'engine'>,
  manifest: BlobAddress,
  chunk: number,
  options: AbortOptions,
): Promise<RepairBackoff | undefined> {
  const key = keyOf(manifest, chunk);
  const stored = await engine
    .table(BACKOFF_TABLE)
    .get(key, options)
    .catch((error: unknown) => {
      // It is tried at once, and then written over.
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    });
  return stored && backoffIn(key, stored);
}

/**
 * Puts a chunk off that could not be repaired: for a minute, and twice as long each time, up to six hours. Not
 * flushed: what a power cut takes back is tried sooner. Of a manifest that is gone nothing is written.
 */
export async function backOff(
  context: BackoffContext,
  manifest: BlobAddress,
  chunk: number,
  error: string,
  options: AbortOptions = {},
): Promise<RepairBackoff> {
  const attempts = ((await readBackoff(context, manifest, chunk, options))?.attempts ?? 0) + 1;
  const fullMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 32));
  const waitMs = fullMs * (1 - (JITTER * context.random(1)[0]!) / 256);
  const nextMs = Math.max(0, Math.floor(context.clock.now() + waitMs));
  const record = { v: 1, attempts, next: nextMs, error: error.slice(0, MAX_ERROR) };
  const key = keyOf(manifest, chunk);
  const holds = await standing(context, manifest, options);
  if (holds !== undefined) {
    const value = utf8Encode(JSON.stringify(record));
    await context.engine.batch([{ table: BACKOFF_TABLE, key, value }], holds, options);
  }
  return { manifest, chunk, attempts, nextMs, error: record.error };
}

/** That the manifest is there; undefined: it is not. Where that cannot be told, it counts as there. */
async function standing(
  { engine }: Pick<BackoffContext, 'engine'>,
  manifest: BlobAddress,
  options: AbortOptions,
): Promise<Precondition[] | undefined> {
  try {
    const { isThere, holds } = await manifestStands(engine, manifest, options);
    return isThere ? [...holds] : undefined;
  } catch (error) {
    if (isHoldfastError(error, 'Corrupt')) return [];
    throw error;
  }
}

/** For the step that records a repair. */
export const repairedOps = (manifest: BlobAddress, chunks: Iterable<number>): BatchOp[] =>
  [...chunks].map((chunk) => ({ table: BACKOFF_TABLE, key: keyOf(manifest, chunk), value: undefined }));

/** All that is put off, by manifest and chunk. What cannot be read is left out, and told of. */
export async function* backoffs(
  { engine }: Pick<BackoffContext, 'engine'>,
  options: AbortOptions & Pick<EntriesOptions, 'onDamaged'> = {},
): AsyncGenerator<RepairBackoff> {
  const { signal, onDamaged = () => {} } = options;
  for await (const [key, value] of engine.table(BACKOFF_TABLE).entries({ signal, onDamaged })) {
    const found = backoffIn(key, value);
    if (found === undefined) onDamaged(key);
    else yield found;
  }
}

function backoffIn(key: string, stored: Uint8Array): RepairBackoff | undefined {
  const slash = key.indexOf('/');
  const [manifest, chunk] = [key.slice(0, slash), Number(key.slice(slash + 1))];
  if (!isBlobAddress(manifest) || !isCount(chunk)) return undefined;
  try {
    const { v, attempts, next, error } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const right = v === 1 && isCount(attempts) && isCount(next) && typeof error === 'string';
    return right ? { manifest, chunk, attempts, nextMs: next, error } : undefined;
  } catch {
    return undefined;
  }
}
