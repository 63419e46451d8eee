import { type AbortOptions, linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import { standings } from '../core/standing.ts';
import type { Provider } from '../providers/provider.ts';
import {
  type DoubtfulProvider,
  type NodeCatalog,
  ROOM_REASONS,
  SILENT_REASONS,
  type SkippedProvider,
} from './catalog.ts';
import { STALLED } from './failures.ts';

/** The providers as the pipeline sees them. */
export interface ProviderDirectory {
  /** All that are registered, whatever their state. */
  all(): readonly Provider[];
  get(id: string): Provider | undefined;
  /** Those that may take new shards, best first, and why the others may not. */
  forStore(): {
    readonly eligible: readonly Provider[];
    /** Of each of them; the higher, the better. Default: all alike. */
    readonly scores?: readonly number[] | undefined;
    /** Of those left out, who would be eligible but for something that was gone or altered there lately: for who has no other choice. */
    readonly doubtful?: readonly DoubtfulProvider[] | undefined;
    readonly leftOut: readonly LeftOut[];
  };
  /** Why so many bytes more are not to go there, e.g. for its quota; undefined when they may. */
  noRoom(id: string, bytes: number): string | undefined;
  /** Relative cost of reading a byte there now; larger for slow or failing ones. */
  readCost(id: string): number;
  /** Chunk length that suits the provider, bytes of plaintext. */
  preferredChunk(id: string): number;
  /**
   * How long a transfer takes when it is as slow as the slowest 5 % of the provider's recent ones; undefined while too
   * few were seen.
   */
  p95Ms(id: string, operation: 'store' | 'fetch', bytes: number): number | undefined;
  /**
   * It was asked and let others answer long before it. Reads go elsewhere until it is heard of, and what can wait is put
   * off, if that was not only for a moment.
   * @param afterMs how long it had had; default: long.
   */
  late(id: string, afterMs?: number): void;
  /** It answered, if only that it has nothing. */
  heard(id: string): void;
  /** Whether others are better asked first, for it was late. */
  isLate(id: string): boolean;
  /** Whether a request that can wait is worth sending now: false while it failed lately, did not answer or was late. */
  isResponsive(id: string): boolean;
  /** Whether the provider answers a probe in about the time that its probes usually take. @throws Aborted. */
  respondsToProbe(id: string, options?: AbortOptions): Promise<boolean>;
  /** Bytes of shards that are no longer there; gives quota back. */
  deleted(id: string, bytes: number): void;
  /** What a transfer came to; feeds profiles and ranking. */
  report(id: string, outcome: TransferOutcome): void;
  /** Writes what was observed, so that it outlives this process however it ends. */
  flush(): Promise<void>;
  /**
   * Replaces what is stored of the bytes at each provider by what `count` finds.
   * @returns false when that was nothing, or somebody changed it meanwhile.
   */
  recount(count: () => Promise<ReadonlyMap<string, number> | undefined>): Promise<boolean>;
}

export interface LeftOut {
  readonly id: string;
  readonly why: string;
}

interface TransferOutcome {
  readonly operation: 'store' | 'fetch';
  readonly bytes: number;
  readonly elapsedMs: number;
  /** The bytes count as used there already. */
  readonly existed?: boolean | undefined;
  /** Chunks of which a store held shards. */
  readonly chunks?: number | undefined;
  /** Why it failed, if it did. */
  readonly error?: unknown;
}

/** Who is asked whether it is there is silent after this, or three times what its probes usually take. */
const SILENT_AFTER_MS = 500;
/** What a byte costs more at a provider that is in doubt. */
const POOR = 1000;
/** Codes of errors of who was given up on. */
const LATE: ReadonlySet<string> = new Set(['lost_race', STALLED]);
/** What is known of the providers may be this old: reads ask for every shard of every chunk. */
const KEPT_MS = 250;

interface View {
  readonly atMs: number;
  readonly poor: ReadonlySet<string>;
  /** 0 for the best and those about as good; see {@link standings}. */
  readonly standing: ReadonlyMap<string, number>;
}

/** The catalog as the pipeline sees it. */
export function directoryOf(
  catalog: NodeCatalog,
  clock: Clock,
  { late, heard, isLate, isSilent }: Punctuality,
): ProviderDirectory {
  const byId = new Map(catalog.providers.map((provider) => [provider.id, provider]));
  const leftOut = (id: string, bytes: number): SkippedProvider | undefined =>
    catalog.eligible({ bytes }).leftOut.find(({ provider }) => provider.id === id);
  const view = new KeptView(catalog, clock);
  const flush = grouped(() => catalog.flush());
  return {
    all: () => catalog.providers,
    get: (id) => byId.get(id),
    forStore: () => forStore(catalog),
    noRoom(id, bytes) {
      const out = leftOut(id, bytes);
      return out?.reason === 'over_quota' || out?.reason === 'full' ? out.why : undefined;
    },
    readCost(id) {
      const price = byId.get(id)?.price ?? 1;
      const { poor, standing } = view.get();
      return price * 4 ** (standing.get(id) ?? 0) * (poor.has(id) || isLate(id) ? POOR : 1);
    },
    preferredChunk: (id) => catalog.preferredChunk(id),
    p95Ms: (id, operation, bytes) =>
      byId.has(id) ? catalog.p95Ms(id, operation === 'fetch' ? 'read' : 'store', bytes) : undefined,
    late,
    heard,
    isLate,
    isResponsive(id) {
      const reason = leftOut(id, 1)?.reason;
      return !isSilent(id) && (reason === undefined || !SILENT_REASONS.has(reason));
    },
    respondsToProbe: async (id, { signal } = {}) =>
      byId.has(id) && respondsToProbe(catalog, clock, id, signal),
    flush,
    recount: (count) => catalog.recount(count),
    deleted(id, bytes) {
      if (byId.has(id)) catalog.report(id, { type: 'deleted', bytes });
    },
    report(id, { operation, error, ...transfer }) {
      if (!byId.has(id)) return;
      if (isHoldfastError(error) && LATE.has(error.code)) late(id, transfer.elapsedMs);
      else if (error === undefined) heard(id);
      const store = operation === 'store';
      if (error === undefined) catalog.report(id, { type: store ? 'stored' : 'read', ...transfer });
      else {
        catalog.report(id, { type: store ? 'store_failed' : 'read_failed', error, ...transfer });
        view.forget();
      }
    },
  };
}

function forStore(catalog: NodeCatalog): ReturnType<ProviderDirectory['forStore']> {
  const { candidates, doubtful, leftOut } = catalog.eligible({ bytes: 1 });
  return {
    doubtful,
    eligible: candidates.map(({ provider }) => provider),
    scores: candidates.map(({ score }) => score),
    leftOut: leftOut.map(({ provider, why }) => ({ id: provider.id, why })),
  };
}

async function respondsToProbe(
  catalog: NodeCatalog,
  clock: Clock,
  id: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const rttMs = catalog.snapshot().find((known) => known.id === id)?.rttMs ?? 0;
  const stop = linkedAbort(signal, 'probe');
  const asked = catalog.probe(id, { signal: stop.signal }).then(({ error }) => error === undefined);
  const tooLate = clock.sleep(Math.max(SILENT_AFTER_MS, 3 * rttMs), stop.signal).then(() => false);
  try {
    return await Promise.race([asked, tooLate]);
  } finally {
    stop.dispose();
    stop.abort(NO_LONGER_NEEDED);
    asked.catch(() => {});
    tooLate.catch(() => {});
  }
}

/** What is known of the providers, looked up again once it is old. */
class KeptView {
  readonly #catalog: NodeCatalog;
  readonly #clock: Clock;
  #kept: View | undefined;

  constructor(catalog: NodeCatalog, clock: Clock) {
    this.#catalog = catalog;
    this.#clock = clock;
  }

  get(): View {
    const atMs = this.#clock.monotonic();
    if (this.#kept === undefined || atMs - this.#kept.atMs >= KEPT_MS) {
      this.#kept = { atMs, ...viewOf(this.#catalog) };
    }
    return this.#kept;
  }

  forget(): void {
    this.#kept = undefined;
  }
}

function viewOf(catalog: NodeCatalog): Omit<View, 'atMs'> {
  const ranked = catalog.ranked();
  const { leftOut } = catalog.eligible({ bytes: 1 });
  const poor = new Set(
    leftOut.filter(({ reason }) => !ROOM_REASONS.has(reason)).map(({ provider }) => provider.id),
  );
  const good = ranked.filter(({ provider }) => !poor.has(provider.id));
  const standing = standings(good.map(({ score }) => score));
  return { poor, standing: new Map(good.map(({ provider }, i) => [provider.id, standing[i]!])) };
}

/** Callers who come while it runs share the next run: what they want written is in it. */
function grouped(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const run = (): Promise<void> => {
    next = undefined;
    running = work().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (running === undefined) return run();
    next ??= running.then(run, run);
    return next;
  };
}

/** Who was late is asked last for so long, unless it is heard of before. */
const REMEMBERED_MS = 30_000;
/** Who let others answer by less may have been held up for a moment: no reason to put off what can wait. */
const SILENT_MS = 400;

/** Which providers let others answer long before them, as far as one process saw lately. */
export interface Punctuality {
  /**
   * It was asked and gave no answer while others did.
   * @param afterMs how long it had had.
   */
  late(id: string, afterMs?: number): void;
  /** It answered, if only that it has nothing. */
  heard(id: string): void;
  /** Others are better asked first. */
  isLate(id: string): boolean;
  /** It was late by more than a moment. */
  isSilent(id: string): boolean;
  /** Whether any was late since then, by the monotonic clock. */
  lateSince(ms: number): boolean;
}

export function createPunctuality(clock: Clock): Punctuality {
  const lateness = new Map<string, { readonly atMs: number; readonly afterMs: number }>();
  /** For how long it had been asked when it was last late; undefined when that is past. */
  const afterMs = (id: string): number | undefined => {
    const last = lateness.get(id);
    return last !== undefined && clock.monotonic() - last.atMs < REMEMBERED_MS ? last.afterMs : undefined;
  };
  return {
    late(id, after = Number.POSITIVE_INFINITY) {
      lateness.set(id, { atMs: clock.monotonic(), afterMs: Math.max(after, afterMs(id) ?? 0) });
    },
    heard: (id) => void lateness.delete(id),
    isLate: (id) => afterMs(id) !== undefined,
    isSilent: (id) => (afterMs(id) ?? 0) >= SILENT_MS,
    lateSince: (ms) => [...lateness.values()].some(({ atMs }) => atMs > ms),
  };
}
