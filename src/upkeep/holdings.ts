import { throwIfAborted } from '../core/abort.ts';
import { asHoldfastError, type HoldfastError } from '../core/errors.ts';
import type { Provider } from '../providers/provider.ts';

/** What a provider says that it holds: all of it, also what no object of this vault names. */
export interface Holding {
  readonly provider: string;
  readonly blobs: number;
  /** Of the blobs whose length it tells. */
  readonly bytes: number;
  /** Blobs of which it tells no length. */
  readonly untold: number;
  /** When the oldest and the youngest were written there, by its clock; undefined where it does not tell. */
  readonly oldestUnixMs: number | undefined;
  readonly youngestUnixMs: number | undefined;
  /** Why the listing is not whole, if it is not: what is counted was seen before. */
  readonly error: HoldfastError | undefined;
}

/** Lists all providers at once. One that fails is a result, not an error. @throws Aborted. */
export function holdings(providers: readonly Provider[], signal: AbortSignal): Promise<readonly Holding[]> {
  return Promise.all(providers.map((provider) => holdingOf(provider, signal)));
}

async function holdingOf({ id, adapter }: Provider, signal: AbortSignal): Promise<Holding> {
  const sum = { blobs: 0, bytes: 0, untold: 0 };
  let oldest = Number.POSITIVE_INFINITY;
  let youngest = Number.NEGATIVE_INFINITY;
  let error: HoldfastError | undefined;
  try {
    for await (const { size, modifiedUnixMs } of adapter.list({ details: true, signal })) {
      sum.blobs++;
      sum.bytes += size ?? 0;
      if (size === undefined) sum.untold++;
      oldest = Math.min(oldest, modifiedUnixMs ?? oldest);
      youngest = Math.max(youngest, modifiedUnixMs ?? youngest);
    }
  } catch (thrown) {
    throwIfAborted(signal, 'list');
    error = asHoldfastError(thrown);
  }
  const known = (time: number): number | undefined => (Number.isFinite(time) ? time : undefined);
  return { provider: id, ...sum, oldestUnixMs: known(oldest), youngestUnixMs: known(youngest), error };
}
