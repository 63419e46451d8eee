import { type AbortOptions, abortable, allOrFirstError, throwIfAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import { CHECKS } from '../../core/straggler-policies.ts';
import { Stragglers, type Turn } from '../../core/stragglers.ts';
import type { ObjectContext } from '../../object/context.ts';
import type { Provider } from '../../providers/provider.ts';

/** Blobs of one provider that are read at once. */
const PER_PROVIDER = 2;
/** A provider that fails so often, one time after the other, is given a rest. */
const MAX_FAILURES = 3;
/** … for so long; then it is asked whether it is there. */
const REST_MS = 60_000;

/** What one provider's lane works on. */
export interface Lane {
  readonly provider: Provider;
  /** Fires when the provider is found silent. */
  readonly signal: AbortSignal;
  /** So much was read: it is not silent. */
  progressed(): void;
}

interface Job<T> {
  /** What is to be waited for first, which is nothing that the provider does. */
  before(task: T): Promise<void>;
  /** What it throws says that the provider gave no answer; whatever it did answer is no error. */
  work(task: T, lane: Lane): Promise<void>;
  /** Told of each task whose provider gave no answer, and why. */
  unheard(task: T, why: string): void;
}

interface Standing {
  failures: number;
  /** Why it is not asked until then, by the monotonic clock. */
  rest: { readonly untilMs: number; readonly why: string } | undefined;
}

/**
 * Checks what is at many providers, for hours on end. Each has a lane of its own, so that none holds up another; who stands
 * still while others get on and answers no probe, or fails again and again, is passed over for a minute.
 */
export class Lanes {
  readonly #context: ObjectContext;
  readonly #signal: AbortSignal | undefined;
  readonly #standings = new Map<string, Standing>();

  constructor(context: ObjectContext, { signal }: AbortOptions) {
    this.#context = context;
    this.#signal = signal;
  }

  /** Works all tasks off. @throws HoldfastError `Aborted`. */
  async run<T extends { readonly provider: string }>(tasks: readonly T[], job: Job<T>): Promise<void> {
    const byProvider = new Map<string, T[]>();
    for (const task of tasks) entryOf(byProvider, task.provider, () => []).push(task);
    const laggards = new Stragglers(this.#context.clock, CHECKS, tasks.length);
    const drain = async (id: string, queue: T[]): Promise<void> => {
      for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
        throwIfAborted(this.#signal, 'the scrub');
        const why = await this.#one(id, task, job, laggards);
        if (why !== undefined) job.unheard(task, why);
      }
    };
    try {
      await allOrFirstError(
        [...byProvider].flatMap(([id, queue]) =>
          Array.from({ length: Math.min(PER_PROVIDER, queue.length) }, () => drain(id, queue)),
        ),
      );
    } finally {
      laggards.close();
    }
  }

  /** @returns why its provider gave no answer. */
  async #one<T>(
    id: string,
    task: T,
    { before, work }: Job<T>,
    laggards: Stragglers,
  ): Promise<string | undefined> {
    const { clock, directory } = this.#context;
    const provider = directory.get(id);
    if (provider === undefined) return 'it is not in the configuration';
    const standing = entryOf(this.#standings, id, () => ({ failures: 0, rest: undefined }));
    if (await this.#rests(id, standing)) return standing.rest?.why ?? SILENT;
    await before(task);
    const rest = (why: string): void => {
      standing.rest = { untilMs: clock.monotonic() + REST_MS, why };
    };
    const silent = (): void => {
      rest(SILENT);
      directory.late(id);
    };
    const isThere = (): Promise<boolean> =>
      directory.respondsToProbe(id, { signal: this.#signal }).catch(() => true);
    const turn = laggards.begin(this.#signal, 'the scrub', silent, isThere);
    try {
      const lane = laneOf(provider, turn, clock);
      await abortable(work(task, lane), turn.signal, 'the scrub');
      // Others are measured by it.
      lane.progressed();
      standing.failures = 0;
      return undefined;
    } catch (thrown) {
      throwIfAborted(this.#signal, 'the scrub');
      if (turn.signal.aborted) return SILENT;
      const { message } = asHoldfastError(thrown);
      standing.failures++;
      if (standing.failures >= MAX_FAILURES) rest(message);
      return message;
    } finally {
      turn.end();
    }
  }

  /** Whether it is left alone now. Who has had its rest is asked by a probe first. */
  async #rests(id: string, standing: Standing): Promise<boolean> {
    const { clock, directory } = this.#context;
    const { rest } = standing;
    if (rest === undefined) return false;
    if (clock.monotonic() < rest.untilMs) return true;
    // Others of its lane do not ask beside this.
    standing.rest = { ...rest, untilMs: clock.monotonic() + REST_MS };
    const there = await directory.respondsToProbe(id, { signal: this.#signal }).catch(() => false);
    throwIfAborted(this.#signal, 'the scrub');
    if (!there) return true;
    standing.rest = undefined;
    standing.failures = 0;
    return false;
  }
}

const SILENT = 'it does not answer, while others do';

function laneOf(provider: Provider, turn: Turn, clock: Clock): Lane {
  let sinceMs = clock.monotonic();
  return {
    provider,
    signal: turn.signal,
    progressed() {
      const now = clock.monotonic();
      turn.progressed(now - sinceMs);
      sinceMs = now;
    },
  };
}

/** Keeps what is read to so many bytes a second, all lanes together. */
export class BytePace {
  readonly #clock: Clock;
  readonly #perMs: number;
  #freeAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock;
    this.#perMs = bytesPerSecond / 1000;
  }

  /** Before so many bytes are read: waits until those before them have had their time. @throws Aborted. */
  async take(bytes: number, { signal }: AbortOptions): Promise<void> {
    const now = this.#clock.monotonic();
    const startMs = Math.max(now, this.#freeAtMs);
    this.#freeAtMs = startMs + bytes / this.#perMs;
    if (startMs > now) await this.#clock.sleep(startMs - now, signal);
  }
}
