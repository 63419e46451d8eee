import { type AbortOptions, abortable, type LinkedAbort, linkedAbort } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import type { VaultContext } from './ports.ts';

export interface BlobAt {
  readonly provider: string;
  readonly address: BlobAddress;
  /** Bytes of shards in it, for the quota; 0 for nodes, which are not counted. */
  readonly bytes: number;
}

/** Under way at once at each provider. */
const PARALLEL = 4;
/** A provider that gets nothing done for so long is left for later, once others have got something done … */
const PATIENCE_MS = 1_000;
/** … and not before this many times what the slowest delete took. */
const FACTOR = 3;
const CHECK_MS = 50;

interface Turn {
  readonly stop: LinkedAbort;
  progressMs: number;
}

/**
 * Deletes blobs, those of all providers at once. Nothing depends on it being done now, so nobody is waited for who is
 * known not to answer, or stands still while others get on.
 * @returns those that are still there, as far as is known.
 */
export async function deleteBlobs(
  context: VaultContext,
  blobs: readonly BlobAt[],
  options: AbortOptions = {},
): Promise<BlobAt[]> {
  const { clock, directory } = context;
  const byProvider = new Map<string, BlobAt[]>();
  for (const blob of blobs) {
    const its = byProvider.get(blob.provider);
    if (its === undefined) byProvider.set(blob.provider, [blob]);
    else its.push(blob);
  }
  const turns = new Set<Turn>();
  let slowestMs = 0;
  let done = 0;
  const left: BlobAt[] = [];

  const deleteOne = async (blob: BlobAt, turn: Turn): Promise<void> => {
    const { signal } = turn.stop;
    const started = clock.monotonic();
    try {
      const adapter = directory.get(blob.provider)?.adapter;
      if (adapter === undefined || signal.aborted) throw new HoldfastError('Aborted', 'left for later');
      await abortable(adapter.delete(blob.address, { signal }), signal, 'delete');
      if (blob.bytes > 0) directory.deleted(blob.provider, blob.bytes);
      slowestMs = Math.max(slowestMs, clock.monotonic() - started);
      done++;
    } catch {
      left.push(blob);
    }
    turn.progressMs = clock.monotonic();
  };
  const deleteAt = async (provider: string, its: BlobAt[]): Promise<void> => {
    if (!directory.responds(provider)) return void left.push(...its);
    const turn = { stop: linkedAbort(options.signal, 'delete'), progressMs: clock.monotonic() };
    turns.add(turn);
    const work = async (): Promise<void> => {
      for (let blob = its.pop(); blob !== undefined; blob = its.pop()) await deleteOne(blob, turn);
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    turns.delete(turn);
    turn.stop.dispose();
  };
  const over = new AbortController();
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      await clock.sleep(CHECK_MS, over.signal).catch(() => {});
      const overdue = clock.monotonic() - Math.max(PATIENCE_MS, FACTOR * slowestMs);
      for (const { stop, progressMs } of turns) {
        if (done > 0 && progressMs < overdue) stop.abort(new HoldfastError('Aborted', 'left for later'));
      }
    }
  };

  const watching = watch();
  try {
    await Promise.all([...byProvider].map(([provider, its]) => deleteAt(provider, its)));
  } finally {
    over.abort();
    await watching;
  }
  return left;
}
