import { throwIfAborted } from '../core/abort.ts';
import { addressOf, type BlobAddress } from '../core/address.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
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
  const ids = context.directory.all().map((provider) => provider.id);
  const problems: { provider: string; error: HoldfastError }[] = [];
  const order = rendezvousOrder(context.blake3, address, ids).map((id) => ({ id, lastResort: false }));
  // Those that are given a rest come last, once more.
  for (const { id, lastResort } of order) {
    throwIfAborted(signal, 'fetching a manifest node');
    const provider = context.directory.get(id)!;
    try {
      const bytes = await fetchVerified(provider.adapter, address, context.blake3, {
        maxBytes: MAX_NODE_BYTES,
        signal,
        lastResort,
      });
      for (const { provider: before, error } of problems) {
        if (problemOf(error) !== 'corrupt') continue;
        damage.add({ provider: before, problem: 'corrupt', blob: address, detail: error.message });
        const { length } = bytes;
        context.directory.report(before, { operation: 'fetch', bytes: length, elapsedMs: 0, error });
      }
      return bytes;
    } catch (error) {
      const failure = asHoldfastError(error);
      if (failure.code === 'circuit_open' && !lastResort) order.push({ id, lastResort: true });
      else problems.push({ provider: id, error: failure });
    }
  }
  throwIfAborted(signal, 'fetching a manifest node');
  throw notFound(address, problems);
}

function notFound(
  address: BlobAddress,
  problems: readonly { provider: string; error: HoldfastError }[],
): HoldfastError {
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
