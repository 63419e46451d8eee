import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import { lateAfterMs, type StragglerPolicy } from '../../core/stragglers.ts';
import { PACK_WRITES } from '../../object/straggler-policies.ts';
import type { Provider } from '../../providers/provider.ts';
import type { PutSession } from './session.ts';

/** Who is that late is asked whether it is there at all: it need not be given up on for it. */
const ASKED: StragglerPolicy = { ...PACK_WRITES, floorMs: 300 };
const CHECK_MS = 50;
/** A provider that is waited for is asked this often whether it is there at all. */
const ASK_EVERY_MS = 5_000;

interface Straggler {
  readonly attempt: Promise<unknown>;
  readonly stop: LinkedAbort;
}

/**
 * Watches a segment's packs on their way and gives up on one that is far behind the rest, so that its shards go
 * elsewhere while it may still be trying. Where the object would then survive fewer losses it is waited for longer: up
 * to the policy's `stallMs`, or until it does not even answer a probe. And for good where fewer than promised.
 */
export class PackUploads {
  readonly #session: PutSession;
  readonly #stragglers: Straggler[] = [];
  readonly #pacing = new AbortController();
  /** One for all packs. */
  #tick: Promise<void> | undefined;
  #running = 0;
  #done = 0;
  #slowestMs = 0;

  constructor(session: PutSession) {
    this.#session = session;
  }

  /** A round of so many packs starts. */
  begin(packs: number): void {
    this.#running = packs;
    this.#done = 0;
    this.#slowestMs = 0;
  }

  /**
   * Resolves once the pack is stored. @throws what the provider throws; `Timeout` when given up on, code `lost_race`
   * where nothing is lost by that, else `stalled`.
   */
  async run(
    provider: Provider,
    bytes: number,
    store: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<void> {
    const { clock } = this.#session.context;
    const started = clock.monotonic();
    const stop = linkedAbort(this.#session.signal, 'put');
    const attempt = store(stop.signal);
    const settled = { yes: false };
    const watched = attempt.finally(() => {
      settled.yes = true;
    });
    watched.catch(() => {});
    const there = { asked: false, silent: false };
    try {
      while (!settled.yes) {
        await Promise.race([watched, this.#nextTick()]);
        const elapsedMs = clock.monotonic() - started;
        if (settled.yes || !this.#isBehind(ASKED, provider, bytes, elapsedMs)) continue;
        const loss = this.#lossWithout(provider);
        if (loss === 'too much') continue;
        if (!there.asked) void this.#ask(provider, there, settled);
        const { stallMs } = this.#session.context.policy;
        const givenUp =
          there.silent ||
          (loss === 'none' ? this.#isBehind(PACK_WRITES, provider, bytes, elapsedMs) : elapsedMs >= stallMs);
        if (!givenUp) continue;
        this.#stragglers.push({ attempt, stop });
        throw loss === 'none' ? lostRace(elapsedMs) : stalled(elapsedMs, there.silent);
      }
      await attempt;
      this.#slowestMs = Math.max(this.#slowestMs, clock.monotonic() - started);
    } finally {
      this.#done++;
      if (settled.yes) stop.dispose();
    }
  }

  /** Cancels those that were given up on and waits until they have let go of the memory. */
  async end(): Promise<void> {
    const gone = new HoldfastError('Aborted', 'others took its shards', { code: 'lost_race' });
    this.#pacing.abort(NO_LONGER_NEEDED);
    for (const { stop } of this.#stragglers) stop.abort(gone);
    await Promise.allSettled(this.#stragglers.map(({ attempt }) => attempt));
    for (const { stop } of this.#stragglers.splice(0)) stop.dispose();
  }

  #nextTick(): Promise<void> {
    const ended = (): void => {
      this.#tick = undefined;
    };
    this.#tick ??= this.#session.context.clock.sleep(CHECK_MS, this.#pacing.signal).then(ended, ended);
    return this.#tick;
  }

  #isBehind(policy: StragglerPolicy, provider: Provider, bytes: number, elapsedMs: number): boolean {
    const usual = this.#session.context.directory.p95Ms(provider.id, 'store', bytes);
    const running = this.#running - this.#done;
    const field = { done: this.#done, running, slowestMs: this.#slowestMs };
    return elapsedMs >= lateAfterMs(policy, field, usual);
  }

  /** What giving up on it would cost in losses survived; `too much`: the promise. */
  #lossWithout(provider: Provider): 'none' | 'some' | 'too much' {
    const { placements, minTolerates } = this.#session;
    const without = placements.tolerates(provider.id);
    if (without < minTolerates) return 'too much';
    return without >= placements.tolerates() ? 'none' : 'some';
  }

  /** Asks again and again while it is waited for: it may fall silent later. */
  async #ask(
    provider: Provider,
    there: { asked: boolean; silent: boolean },
    settled: { readonly yes: boolean },
  ): Promise<void> {
    const { clock, directory } = this.#session.context;
    const { signal } = this.#pacing;
    there.asked = true;
    while (!settled.yes && !signal.aborted) {
      const answers = await directory.respondsToProbe(provider.id, { signal }).catch(() => true);
      there.silent = !answers && !signal.aborted;
      if (there.silent) return;
      await clock.sleep(ASK_EVERY_MS, signal).catch(() => {});
    }
  }
}

/** It was not worth waiting for. */
function lostRace(elapsedMs: number): HoldfastError {
  const why = `still not done after ${seconds(elapsedMs)} s, far behind the others`;
  return new HoldfastError('Timeout', why, { code: 'lost_race' });
}

/** It was waited for as long as the policy has it, or until it did not even answer. */
function stalled(elapsedMs: number, silent: boolean): HoldfastError {
  const why = silent ? 'and it does not answer' : 'the longest it is waited for';
  return new HoldfastError('Timeout', `still not done after ${seconds(elapsedMs)} s, ${why}`, {
    code: 'stalled',
  });
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
