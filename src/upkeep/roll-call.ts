import type PQueue from 'p-queue';
import { allOrFirstError, linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import { entryOf } from '../core/maps.ts';
import { CHECKS } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import type { ObjectContext } from '../object/context.ts';

/** Why what a silent provider has is not known. */
const NOT_CONFIRMED = 'it does not answer, while others do: not confirmed';

/**
 * Asks all providers for much, and decides of each once whether it answers. Silent is who gets nothing done while others
 * do and answers no probe; who is only slow is waited for. Close it in the end.
 */
export class RollCall {
  readonly #context: ObjectContext;
  readonly #outer: AbortSignal | undefined;
  readonly #queue: PQueue;
  readonly #silent: Map<string, string> = new Map();
  /** Probes sent at the start, so that by the time somebody is late it is known whether it is there. */
  readonly #early: Map<string, Promise<boolean>>;
  readonly #over = linkedAbort(undefined, 'verify');

  constructor(context: ObjectContext, queue: PQueue, outer: AbortSignal | undefined) {
    this.#context = context;
    this.#queue = queue;
    this.#outer = outer;
    this.#early = new Map(context.directory.all().map(({ id }) => [id, this.#probe(id)]));
  }

  /** Why a provider is not asked any more; undefined while it is. */
  whyNot(id: string): string | undefined {
    return this.#silent.get(id);
  }

  /** It failed in a way that will not change soon. */
  failed(id: string, why: string): void {
    this.#silent.set(id, why);
  }

  /** Reads of all providers at once; the signal of a read fires when its provider is found silent. */
  async askAll<T>(
    reads: readonly T[],
    providerOf: (read: T) => string,
    ask: (read: T, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const laggards = new Stragglers(this.#context.clock, CHECKS);
    const byProvider = new Map<string, T[]>();
    for (const read of reads) entryOf(byProvider, providerOf(read), () => []).push(read);
    try {
      await allOrFirstError([...byProvider].map(([id, its]) => this.#askOne(id, its, ask, laggards)));
    } finally {
      laggards.close();
    }
  }

  close(): void {
    this.#over.abort(NO_LONGER_NEEDED);
  }

  async #askOne<T>(
    id: string,
    its: readonly T[],
    ask: (read: T, signal: AbortSignal) => Promise<void>,
    laggards: Stragglers,
  ): Promise<void> {
    const { clock, directory } = this.#context;
    const silent = (): void => {
      this.#silent.set(id, NOT_CONFIRMED);
      directory.late(id);
    };
    const turn = laggards.begin(this.#outer, 'verify', silent, () => this.#isThere(id));
    const timed = async (read: T): Promise<void> => {
      const started = clock.monotonic();
      await ask(read, turn.signal);
      if (!this.#silent.has(id)) turn.progressed(clock.monotonic() - started);
    };
    await allOrFirstError(its.map((read) => this.#queue.add(() => timed(read)))).finally(() => turn.end());
  }

  /** That it was there at the start says nothing of now; that it was not, all. */
  async #isThere(id: string): Promise<boolean> {
    const early = this.#early.get(id);
    this.#early.delete(id);
    if (early !== undefined && !(await early)) return false;
    return this.#probe(id);
  }

  #probe(id: string): Promise<boolean> {
    return this.#context.directory.respondsToProbe(id, { signal: this.#over.signal }).catch(() => true);
  }
}
