import type { BlobAddress } from '../core/address.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { Attempt } from '../core/hedge.ts';
import { MAX_NODE_BYTES } from '../manifest/limits.ts';
import { fetchVerified } from '../providers/guard.ts';
import type { ObjectContext } from './context.ts';
import { type DamageLog, problemOf } from './damage.ts';
import { rendezvousOrder } from './rendezvous.ts';

/**
 * Finds a node by its address alone and believes only bytes that hash to it. Providers that lie are recorded in
 * `damage`; those that lack it are not, for nothing says that they were given it.
 * @param giveUpMs for work that can do without: waits no longer for those left once all others have answered.
 * @throws HoldfastError `NotFound` when every provider answered and none has it; `Unavailable` otherwise.
 */
export async function fetchNode(
  context: ObjectContext,
  address: BlobAddress,
  damage: DamageLog,
  signal?: AbortSignal,
  giveUpMs?: number,
): Promise<Uint8Array> {
  const { directory } = context;
  const problems: Problem[] = [];
  let order = nodeOrder(context, address);
  for (const lastResort of [false, true]) {
    const resting: string[] = [];
    const won = await context.nodeReads.run(
      order.map((id) => copyAt(context, id, address, lastResort)),
      {
        signal,
        giveUpMs,
        operation: 'fetching a manifest node',
        onLate: (attempt, elapsedMs) => directory.late(order[attempt]!, elapsedMs),
        onFailure(attempt, error) {
          const provider = order[attempt]!;
          if (error.code === 'circuit_open' && !lastResort) resting.push(provider);
          else problems.push({ provider, error });
        },
      },
    );
    if (won !== undefined) {
      for (const problem of problems) blame(context, problem, address, won.value.length, damage);
      return won.value;
    }
    // Those that are given a rest come last, once more.
    order = resting;
  }
  throw notFound(address, problems);
}

interface Problem {
  readonly provider: string;
  readonly error: HoldfastError;
}

/** Rendezvous order, those last that would rather not be asked: each may still be the only one that has it. */
function nodeOrder({ blake3, directory }: ObjectContext, address: BlobAddress): string[] {
  const ids = directory.all().map((provider) => provider.id);
  const order = rendezvousOrder(blake3, address, ids);
  const first = order.filter((id) => directory.isResponsive(id) && !directory.isLate(id));
  return [...first, ...order.filter((id) => !first.includes(id))];
}

function copyAt(
  { blake3, directory }: ObjectContext,
  id: string,
  address: BlobAddress,
  lastResort: boolean,
): Attempt<Uint8Array> {
  return async (signal) => {
    const { adapter } = directory.get(id)!;
    const options = { maxBytes: MAX_NODE_BYTES, signal, lastResort };
    try {
      const bytes = await fetchVerified(adapter, address, blake3, options);
      directory.heard(id);
      return bytes;
    } catch (error) {
      if (isHoldfastError(error, 'NotFound')) directory.heard(id);
      throw error;
    }
  };
}

/** It lied: the node was had elsewhere. */
function blame(
  { directory }: ObjectContext,
  { provider, error }: Problem,
  blob: BlobAddress,
  bytes: number,
  damage: DamageLog,
): void {
  if (problemOf(error) !== 'corrupt') return;
  damage.add({ provider, problem: 'corrupt', blob, detail: error.message });
  directory.report(provider, { operation: 'fetch', bytes, elapsedMs: 0, error });
}

function notFound(address: BlobAddress, problems: readonly Problem[]): HoldfastError {
  const context = { address, providers: problems.map(({ provider, error }) => `${provider}: ${error.kind}`) };
  if (problems.every(({ error }) => isHoldfastError(error, 'NotFound'))) {
    return new HoldfastError('NotFound', `no provider has the manifest node ${address}`, { context });
  }
  const found = problems.map(({ error }) => problemOf(error));
  const corrupt = found.includes('corrupt');
  return new HoldfastError(
    corrupt ? 'Corrupt' : 'Unavailable',
    `no provider returned an intact copy of the manifest node ${address}`,
    {
      code: 'node_unavailable',
      hint: 'Bring unreachable providers back, then try again.',
      context: { ...context, lost: !found.includes('unavailable') },
    },
  );
}

/** Whether all providers answered, and those that have the node have other bytes. */
export const isLost = (error: unknown): boolean =>
  isHoldfastError(error) && error.code === 'node_unavailable' && error.context.lost === true;
