import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED, throwIfAborted } from '../core/abort.ts';
import { addressOf, type BlobAddress } from '../core/address.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { lateAfterMs } from '../core/stragglers.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { ObjectContext } from './context.ts';
import { spread } from './rendezvous.ts';
import { NODE_WRITES } from './straggler-policies.ts';

export interface StoredNode {
  readonly address: BlobAddress;
  /** Providers that acknowledged a copy, of at least as many failure domains as were needed. */
  readonly providers: readonly string[];
}

export interface CopiesWanted {
  readonly wanted: number;
  /** Failure domains, so that losing one fewer leaves a copy. */
  readonly needed: number;
}

/**
 * Keeps a manifest node at `copies` providers of different failure domains, in the rendezvous order of its
 * address, moving on past those that fail and those that are late. Where nobody is left to take its place, a late one
 * that is needed is waited for, and one that is only wanted is not.
 * @param usable providers to use, those that failed in this operation left out.
 * @param intend journals a blob before it is sent.
 * @throws HoldfastError `Unavailable`, code `not_enough_providers`, with fewer domains than `needed`.
 */
export async function storeNode(
  context: ObjectContext,
  bytes: Uint8Array,
  usable: readonly Provider[],
  copies: CopiesWanted,
  intend: (provider: string, address: BlobAddress) => Promise<void>,
  signal?: AbortSignal,
): Promise<StoredNode> {
  const address = addressOf(context.blake3.hash(bytes));
  const storing = new Storing(context, copies, signal);
  const send = async (provider: Provider, stop: AbortSignal): Promise<void> => {
    await intend(provider.id, address);
    await provider.adapter.store(address, [bytes], { signal: stop });
  };
  return { address, providers: await storing.run(spread(context, address, usable), send) };
}

type Send = (provider: Provider, signal: AbortSignal) => Promise<void>;

interface Copy {
  readonly provider: Provider;
  readonly startedMs: number;
  readonly stop: LinkedAbort;
  late: boolean;
}

const CHECK_MS = 20;
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
  #slowestMs = 0;

  constructor(context: ObjectContext, copies: CopiesWanted, signal: AbortSignal | undefined) {
    this.#context = context;
    this.#copies = copies;
    this.#signal = signal;
  }

  async run(queue: Provider[], send: Send): Promise<readonly string[]> {
    try {
      for (;;) {
        throwIfAborted(this.#signal, 'storing a manifest node');
        const onTime = [...this.#running.keys()].filter(({ late }) => !late).length;
        for (const provider of queue.splice(0, Math.max(0, this.#left() - onTime)))
          this.#launch(provider, send);
        if (this.#left() <= 0 || this.#running.size === 0) break;
        if (onTime === 0 && queue.length === 0 && this.#enough && this.#allLate) break;
        await this.#change();
      }
    } finally {
      await this.#end();
    }
    if (this.#enough) return this.#acknowledged;
    throw tooFew(this.#domains.size, this.#copies.needed, this.#failures);
  }

  /** Copies still to be had. */
  #left(): number {
    const { wanted, needed } = this.#copies;
    return Math.max(wanted - this.#acknowledged.length, needed - this.#domains.size);
  }

  get #enough(): boolean {
    return this.#domains.size >= this.#copies.needed;
  }

  get #allLate(): boolean {
    return [...this.#running.keys()].every(({ late }) => late);
  }

  #launch(provider: Provider, send: Send): void {
    const { clock, directory, policy } = this.#context;
    const stop = linkedAbort(this.#signal, 'storing a manifest node');
    const copy: Copy = { provider, startedMs: clock.monotonic(), stop, late: false };
    const work = async (): Promise<void> => {
      try {
        await send(provider, stop.signal);
        this.#acknowledged.push(provider.id);
        this.#domains.add(domainOf(provider, policy.failureDomain));
        this.#slowestMs = Math.max(this.#slowestMs, clock.monotonic() - copy.startedMs);
        directory.heard(provider.id);
      } catch (error) {
        this.#failures.push(asHoldfastError(error, { provider: provider.id }));
      } finally {
        stop.dispose();
        this.#running.delete(copy);
      }
    };
    this.#running.set(copy, work());
  }

  /** Resolves once a copy is there, has failed, or may have become late. */
  async #change(): Promise<void> {
    const { clock } = this.#context;
    const pacing = new AbortController();
    const tick = clock.sleep(CHECK_MS, pacing.signal).catch(() => {});
    await Promise.race([...this.#running.values(), tick]);
    pacing.abort(NO_LONGER_NEEDED);
    const field = {
      done: this.#acknowledged.length,
      running: this.#running.size,
      slowestMs: this.#slowestMs,
    };
    const elapsedLate = lateAfterMs(NODE_WRITES, field);
    for (const copy of this.#running.keys()) {
      if (!copy.late && clock.monotonic() - copy.startedMs >= elapsedLate) copy.late = true;
    }
  }

  /**
   * Cancels what is left and lets it come to rest: a copy that landed after the put has deleted what it wrote would be
   * found by nobody. One that ignores its signal is not waited for long.
   */
  async #end(): Promise<void> {
    const lost = new HoldfastError('Aborted', 'others took the manifest node', { code: 'lost_race' });
    const { clock, directory } = this.#context;
    for (const { provider, stop, late, startedMs } of this.#running.keys()) {
      const elapsedMs = clock.monotonic() - startedMs;
      if (late && this.#signal?.aborted !== true) directory.late(provider.id, elapsedMs);
      stop.abort(lost);
    }
    if (this.#running.size === 0) return;
    const pacing = new AbortController();
    const enough = clock.sleep(REST_MS, pacing.signal).catch(() => {});
    await Promise.race([Promise.all(this.#running.values()), enough]);
    pacing.abort(NO_LONGER_NEEDED);
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
