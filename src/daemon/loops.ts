import { abortable, linkedAbort } from '../core/abort.ts';
import { type Clock, withDeadline } from '../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import type { HousekeepingMetrics } from '../telemetry/index.ts';

/** Work that is done again and again. It has nothing to do with any other: one that fails or hangs keeps none from theirs. */
export interface Loop {
  /** A few words; the label `chore` of its metrics. */
  readonly name: string;
  /** From the start. */
  readonly firstAfterMs: number;
  /** From the end of one run to the beginning of the next. */
  readonly everyMs: number;
  /** A run that takes longer is cut off and has failed. */
  readonly deadlineMs: number;
  /** Settles soon after the signal has fired; what it rejects with is logged. */
  run(signal: AbortSignal): Promise<unknown>;
}

/** What is shown of a loop to whoever asks: no word of it comes from a provider. */
export interface LoopReport {
  readonly name: string;
  /** `stuck`: a run was cut off and has not ended yet, so that no other begins. */
  readonly state: 'waiting' | 'running' | 'stuck' | 'ended';
  /** How the last run went. */
  readonly last: 'ok' | 'failed' | 'none';
  /** Runs that failed, one after another. */
  readonly failures: number;
  readonly done_unix_ms?: number;
  readonly took_ms?: number;
}

interface LoopsOptions {
  readonly clock: Clock;
  readonly metrics: Pick<HousekeepingMetrics, 'choreFailed' | 'choreDone'>;
  log(level: 'info' | 'warn', event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** A run that was cut off is waited for so long. */
const SETTLE_MS = 5_000;

/** The loops of one process: each with its own rhythm, its own deadline and its own failures. */
export class Loops {
  readonly #options: LoopsOptions;
  readonly #runners: readonly Runner[];
  readonly #stopping = new AbortController();
  readonly #cut = linkedAbort(undefined, 'the loops');
  #ended: Promise<unknown> | undefined;

  constructor(loops: readonly Loop[], options: LoopsOptions) {
    this.#options = options;
    this.#runners = loops.map((loop) => new Runner(loop, options));
  }

  /** To be called once. */
  start(): void {
    const signals = { stopping: this.#stopping.signal, cut: this.#cut.signal };
    this.#ended = Promise.all(this.#runners.map((runner) => runner.live(signals)));
  }

  report(): readonly LoopReport[] {
    return this.#runners.map((runner) => runner.report());
  }

  /** Begins no more runs. Those under way may finish within `graceMs`; then they are cut off. Never rejects. */
  async stop(graceMs: number): Promise<void> {
    this.#stopping.abort();
    const { clock } = this.#options;
    const within = (ms: number): Promise<boolean> =>
      withDeadline(clock, ms, 'the loops', async () => this.#ended).then(
        () => true,
        () => false,
      );
    if (await within(graceMs)) return;
    this.#cut.abort(new HoldfastError('Aborted', 'the daemon ends'));
    await within(SETTLE_MS);
  }
}

interface LoopSignals {
  /** No run begins any more. */
  readonly stopping: AbortSignal;
  /** The one under way ends. */
  readonly cut: AbortSignal;
}

class Runner {
  readonly #loop: Loop;
  readonly #options: LoopsOptions;
  #state: LoopReport['state'] = 'waiting';
  #last: LoopReport['last'] = 'none';
  #failures = 0;
  #doneUnixMs: number | undefined;
  #tookMs: number | undefined;

  constructor(loop: Loop, options: LoopsOptions) {
    this.#loop = loop;
    this.#options = options;
  }

  report(): LoopReport {
    const { name } = this.#loop;
    return {
      name,
      state: this.#state,
      last: this.#last,
      failures: this.#failures,
      ...(this.#doneUnixMs === undefined ? {} : { done_unix_ms: this.#doneUnixMs }),
      ...(this.#tookMs === undefined ? {} : { took_ms: this.#tookMs }),
    };
  }

  /** Resolves when no run will begin and none is under way. */
  async live({ stopping, cut }: LoopSignals): Promise<void> {
    const { clock } = this.#options;
    let pauseMs = this.#loop.firstAfterMs;
    for (;;) {
      await clock.sleep(pauseMs, stopping).catch(() => {});
      if (stopping.aborted) break;
      const run = this.#begin(cut);
      await run.outcome;
      if (!run.settled()) {
        this.#state = 'stuck';
        await abortable(run.ended, cut).catch(() => {});
      }
      if (!stopping.aborted) this.#state = 'waiting';
      pauseMs = this.#loop.everyMs;
    }
    this.#state = 'ended';
  }

  #begin(cut: AbortSignal): {
    readonly outcome: Promise<void>;
    readonly ended: Promise<unknown>;
    settled(): boolean;
  } {
    const { clock, metrics } = this.#options;
    const { name, deadlineMs, run } = this.#loop;
    const start = clock.monotonic();
    let settled = false;
    let ended: Promise<unknown> = Promise.resolve();
    this.#state = 'running';
    const work = async (signal: AbortSignal): Promise<void> => {
      const running = (async () => run.call(this.#loop, signal))();
      ended = running
        .catch(() => {})
        .finally(() => {
          settled = true;
        });
      await running;
    };
    const outcome = withDeadline(clock, deadlineMs, name, work, cut).then(
      () => {
        this.#last = 'ok';
        this.#failures = 0;
        this.#doneUnixMs = Math.floor(clock.now());
        metrics.choreDone(name, clock.now() / 1000);
        metrics.choreFailed(name, 0);
      },
      (error: unknown) => this.#failed(error, cut),
    );
    return {
      outcome: outcome.finally(() => {
        this.#tookMs = Math.round(clock.monotonic() - start);
      }),
      get ended() {
        return ended;
      },
      settled: () => settled,
    };
  }

  #failed(thrown: unknown, cut: AbortSignal): void {
    const { log, metrics } = this.#options;
    const { name } = this.#loop;
    if (cut.aborted) {
      log('info', 'loop_cut_off', { loop: name });
      return;
    }
    const error = asHoldfastError(thrown);
    this.#last = 'failed';
    this.#failures++;
    metrics.choreFailed(name, 1);
    log('warn', 'loop_failed', { loop: name, error: error.message, failures: this.#failures });
  }
}
