import { throwIfAborted } from '../core/abort.ts';
import { addressOf, type BlobAddress } from '../core/address.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { Attempt } from '../core/hedge.ts';
import { MAX_NODE_BYTES } from '../manifest/limits.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import { fetchVerified } from '../providers/verified.ts';
import { type DamageLog, problemOf } from './damage.ts';
import type { VaultContext } from './ports.ts';
import { rendezvousOrder } from './rendezvous.ts';

export interface StoredNode {
  readonly address: BlobAddress;
  /** Providers that acknowledged a copy, of at least as many failure domains as were needed. */
  readonly providers: readonly string[];
}

/**
 * Keeps a manifest node at `copies` providers of different failure domains, in the rendezvous order of its
 * address, moving on past those that fail.
 * @param usable providers to use, those that failed in this operation left out.
 * @param copies `wanted` in all; `needed` failure domains, so that losing one fewer leaves a copy.
 * @param intend journals a blob before it is sent.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`, with fewer domains than `needed`.
 */
export async function storeNode(
  context: VaultContext,
  bytes: Uint8Array,
  usable: readonly Provider[],
  copies: { readonly wanted: number; readonly needed: number },
  intend: (provider: string, address: BlobAddress) => Promise<void>,
  signal?: AbortSignal,
): Promise<StoredNode> {
  const address = addressOf(context.blake3.hash(bytes));
  const queue = spread(context, address, usable);
  const acknowledged: string[] = [];
  const domains = new Set<string>();
  const failures: HoldfastError[] = [];
  const left = (): number => Math.max(copies.wanted - acknowledged.length, copies.needed - domains.size);
  while (left() > 0 && queue.length > 0) {
    throwIfAborted(signal, 'storing a manifest node');
    const batch = queue.splice(0, left());
    await Promise.all(
      batch.map(async (provider) => {
        try {
          await intend(provider.id, address);
          await provider.adapter.store(address, [bytes], { signal });
          acknowledged.push(provider.id);
          domains.add(domainOf(provider, context.policy.failureDomain));
        } catch (error) {
          failures.push(asHoldfastError(error, { provider: provider.id }));
        }
      }),
    );
  }
  throwIfAborted(signal, 'storing a manifest node');
  if (domains.size < copies.needed) throw tooFew(domains.size, copies.needed, failures);
  return { address, providers: acknowledged };
}

/** Rendezvous order, those of a failure domain already used last. */
function spread(context: VaultContext, address: BlobAddress, usable: readonly Provider[]): Provider[] {
  const byId = new Map(usable.map((provider) => [provider.id, provider]));
  const seen = new Set<string>();
  const first: Provider[] = [];
  const rest: Provider[] = [];
  for (const id of rendezvousOrder(context.blake3, address, [...byId.keys()])) {
    const provider = byId.get(id)!;
    const domain = domainOf(provider, context.policy.failureDomain);
    (seen.has(domain) ? rest : first).push(provider);
    seen.add(domain);
  }
  return [...first, ...rest];
}

/**
 * Finds a node by its address alone and believes only bytes that hash to it. Providers that lie are recorded in
 * `damage`; those that lack it are not, for nothing says that they were given it.
 * @throws HoldfastError `NotFound` when every provider answered and none has it; `Unavailable` otherwise.
 */
export async function fetchNode(
  context: VaultContext,
  address: BlobAddress,
  damage: DamageLog,
  signal?: AbortSignal,
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
        operation: 'fetching a manifest node',
        onLate: (attempt) => directory.late(order[attempt]!),
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
function nodeOrder({ blake3, directory }: VaultContext, address: BlobAddress): string[] {
  const ids = directory.all().map((provider) => provider.id);
  const order = rendezvousOrder(blake3, address, ids);
  const worthAsking = order.filter((id) => directory.worthAsking(id));
  return [...worthAsking, ...order.filter((id) => !worthAsking.includes(id))];
}

function copyAt(
  { blake3, directory }: VaultContext,
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
  { directory }: VaultContext,
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
  const corrupt = problems.some(({ error }) => problemOf(error) === 'corrupt');
  return new HoldfastError(
    corrupt ? 'Corrupt' : 'Unavailable',
    `no provider returned an intact copy of the manifest node ${address}`,
    { code: 'node_unavailable', hint: 'Bring unreachable providers back, then try again.', context },
  );
}

function tooFew(got: number, needed: number, failures: readonly HoldfastError[]): HoldfastError {
  const why = failures.map((failure) => `${failure.provider ?? '?'}: ${failure.message}`);
  return new HoldfastError('Unavailable', `${got} of ${needed} failure domains took the manifest`, {
    code: 'not_enough_providers',
    hint: 'See `holdfast providers` for the state of each; free space or bring providers back, then try again.',
    context: { failures: why },
  });
}
