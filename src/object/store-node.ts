import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED, throwIfAborted } from '../core/abort.ts';
import { addressOf, type BlobAddress } from '../core/address.ts';
import { deferred } from '../core/deferred.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { NODE_WRITES } from '../core/straggler-policies.ts';
import { Stragglers, type WatchedPart } from '../core/stragglers.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { ObjectContext } from './context.ts';
import { type CopiesWanted, spread } from './rendezvous.ts';

export interface StoredNode {
  readonly address: BlobAddress;
  /** Providers that acknowledged a copy, of at least as many failure domains as were needed. */
  readonly providers: readonly string[];
}

/** Told of what is sent. */
export interface NodeOutbox {
  /** Must resolve before the copy is sent. */
  intend(provider: string, address: BlobAddress): Promise<void>;
  /**
   * The copy was cancelled and is still being written, for the provider ignores it. The blob may appear at any time until
   * `settled`, which never rejects.
   */
  left?(provider: string, address: BlobAddress, settled: Promise<void>): void;
}

/**
 * Keeps a manifest node at `copies` providers of different failure domains, in the rendezvous order of its
 * address, moving on past those that fail and those that are late. Where nobody is left to take its place, a late one
 * that is needed is waited for, and one that is only wanted is not.
 * @param usable providers to use, those that failed in this operation left out.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`, with fewer domains than `needed`; what `outbox` throws.
 */
export async function storeNode(
  context: ObjectContext,
  bytes: Uint8Array,
  usable: readonly Provider[],
  copies: CopiesWanted,
  outbox: NodeOutbox,
  signal?: AbortSignal,
): Promise<StoredNode> {
  const address = addressOf(context.blake3.hash(bytes));
  const storing = new Storing(context, copies, signal, (provider, settled) =>
    outbox.left?.(provider, address, settled),
  );
  let unnoted: unknown;
  const send = async (provider: Provider, stop: AbortSignal): Promise<void> => {
    await outbox.intend(provider.id, address).catch((error: unknown) => {
      if (!isHoldfastError(error) || error.provider === undefined) unnoted ??= error;
      throw error;
    });
    await provider.adapter.store(address, [bytes], { signal: stop });
  };
  try {
    return { address, providers: await storing.run(spread(context, address, usable), send) };
  } catch (error) {
    // Where the state takes no more, no provider is to blame.
    const isShort = isHoldfastError(error) && error.code === 'not_enough_providers';
    throw isShort ? (unnoted ?? error) : error;
  }
}

type Send = (provider: Provider, signal: AbortSignal) => Promise<void>;

interface Copy {
  readonly provider: Provider;
  readonly stop: LinkedAbort;
  readonly part: WatchedPart;
}

/** So long a copy that was cancelled is waited for. */
const REST_MS = 1_000;

/** Copies of one node on their way. */
class Storing {
  readonly #context: ObjectContext;
  readonly #copies: CopiesWanted;
  readonly #signal: AbortSignal | undefined;
  readonly #running = new Map<Copy, Promise<void>>();
  readonly #acknowledged: string[] = [];
  readonly #domains = new Set<string>();
  readonly #failures: HoldfastError[] = [];
  readonly #stragglers: Stragglers;
  readonly #left: (provider: string, settled: Promise<void>) => void;
  #change = deferred();

  constructor(
    context: ObjectContext,
    copies: CopiesWanted,
    signal: AbortSignal | undefined,
    left: (provider: string, settled: Promise<void>) => void,
  ) {
    this.#context = context;
    this.#copies = copies;
    this.#signal = signal;
    this.#left = left;
    this.#stragglers = new Stragglers(context.clock, NODE_WRITES);
  }

  async run(queue: Provider[], send: Send): Promise<readonly string[]> {
    // Copies may ignore the signal; the wait for them must not.
    const onAbort = (): void => this.#change.resolve();
    this.#signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for (;;) {
        throwIfAborted(this.#signal, 'storing a manifest node');
        const onTime = [...this.#running.keys()].filter(({ part }) => !part.late).length;
        for (const provider of queue.splice(0, Math.max(0, this.#lacking() - onTime)))
          this.#launch(provider, send);
        if (this.#lacking() <= 0 || this.#running.size === 0) break;
        if (onTime === 0 && queue.length === 0 && this.#enough && this.#allLate) break;
        await this.#change.promise;
        this.#change = deferred();
      }
    } finally {
      this.#signal?.removeEventListener('abort', onAbort);
      await this.#end();
    }
    if (this.#enough) return this.#acknowledged;
    throw tooFew(this.#domains.size, this.#copies.needed, this.#failures);
  }

  /** Copies still to be had. */
  #lacking(): number {
    const { wanted, needed } = this.#copies;
    return Math.max(wanted - this.#acknowledged.length, needed - this.#domains.size);
  }

  get #enough(): boolean {
    return this.#domains.size >= this.#copies.needed;
  }

  get #allLate(): boolean {
    return [...this.#running.keys()].every(({ part }) => part.late);
  }

  #launch(provider: Provider, send: Send): void {
    const { clock, directory, policy } = this.#context;
    const stop = linkedAbort(this.#signal, 'storing a manifest node');
    const startedMs = clock.monotonic();
    const part = this.#stragglers.watch({
      onLate: () => {
        this.#change.resolve();
        return undefined;
      },
    });
    const copy: Copy = { provider, stop, part };
    const work = async (): Promise<void> => {
      try {
        await send(provider, stop.signal);
        this.#acknowledged.push(provider.id);
        this.#domains.add(domainOf(provider, policy.failureDomain));
        part.progressed(clock.monotonic() - startedMs);
        directory.heard(provider.id);
      } catch (error) {
        this.#failures.push(asHoldfastError(error, { provider: provider.id }));
      } finally {
        part.end();
        stop.dispose();
        this.#running.delete(copy);
        this.#change.resolve();
      }
    };
    this.#running.set(copy, work());
  }

  /**
   * Cancels what is left and lets it come to rest: a copy that landed after the put has deleted what it wrote would be
   * found by nobody. One that ignores its signal is not waited for long, and the outbox is told of it.
   */
  async #end(): Promise<void> {
    const lost = new HoldfastError('Aborted', 'others took the manifest node', { code: 'lost_race' });
    const { clock, directory } = this.#context;
    this.#stragglers.close();
    for (const { provider, stop, part } of this.#running.keys()) {
      if (part.late && this.#signal?.aborted !== true) directory.late(provider.id, part.elapsedMs());
      stop.abort(lost);
    }
    if (this.#running.size === 0) return;
    const pacing = new AbortController();
    const enough = clock.sleep(REST_MS, pacing.signal).catch(() => {});
    await Promise.race([Promise.all(this.#running.values()), enough]);
    pacing.abort(NO_LONGER_NEEDED);
    for (const [{ provider }, settled] of this.#running) this.#left(provider.id, settled);
  }
}

function tooFew(got: number, needed: number, failures: readonly HoldfastError[]): HoldfastError {
  const why = failures.map((failure) => `${failure.provider ?? '?'}: ${failure.message}`);
  return new HoldfastError('Unavailable', `${got} of ${needed} failure domains took the manifest`, {
    code: 'not_enough_providers',
    hint: 'See `holdfast providers` for the state of each; free space or bring providers back, then try again.',
    context: { failures: why },
  });
}
