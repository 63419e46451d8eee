import { type LinkedAbort, linkedAbort, NO_LONGER_NEEDED } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import { PACK_DOUBTS, PACK_WRITES } from '../../core/straggler-policies.ts';
import { Stragglers } from '../../core/stragglers.ts';
import type { Provider } from '../../providers/provider.ts';
import type { PutSession } from './session.ts';

/** A provider that is waited for is asked this often whether it is there at all. */
const ASK_EVERY_MS = 5_000;
/** What giving up on a provider would cost changes as others fail, so it is reckoned this often while one is late. */
const RECKON_EVERY_MS = 500;

interface Upload {
  readonly provider: Provider;
  readonly p95Ms: () => number | undefined;
  readonly giveUp: (why: HoldfastError) => void;
  isAsked: boolean;
  isSilent: boolean;
  isOver: boolean;
}

/**
 * Watches a segment's packs on their way and gives up on one that is far behind the rest, so that its shards go
 * elsewhere while it may still be trying. Where the object would then survive fewer losses it is waited for longer: up
 * to the policy's `stallMs`, or until it does not even answer a probe. And for good where fewer than promised.
 */
export class PackUploads {
  readonly #session: PutSession;
  /** Given up on, and perhaps still reading the segment's memory. */
  readonly #left: { readonly attempt: Promise<unknown>; readonly stop: LinkedAbort }[] = [];
  readonly #over = new AbortController();
  #stragglers: Stragglers;

  constructor(session: PutSession) {
    this.#session = session;
    this.#stragglers = new Stragglers(session.context.clock, PACK_DOUBTS);
  }

  /** A round of so many packs starts; those before it have ended. */
  begin(packs: number): void {
    this.#stragglers.close();
    this.#stragglers = new Stragglers(this.#session.context.clock, PACK_DOUBTS, packs);
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
    const { clock, directory } = this.#session.context;
    const startedMs = clock.monotonic();
    const stop = linkedAbort(this.#session.signal, 'put');
    const attempt = store(stop.signal);
    let giveUp = (_: HoldfastError): void => {};
    const givenUp = new Promise<never>((_, reject) => {
      giveUp = reject;
    });
    const p95Ms = (): number | undefined => directory.p95Ms(provider.id, 'store', bytes);
    const upload = { provider, p95Ms, giveUp, isAsked: false, isSilent: false, isOver: false };
    const onLate = (elapsedMs: number): number | undefined => this.#onLate(upload, elapsedMs);
    const part = this.#stragglers.watch({ p95Ms, onLate });
    try {
      await Promise.race([attempt, givenUp]);
      part.progressed(clock.monotonic() - startedMs);
    } finally {
      upload.isOver = true;
      part.end(true);
      if (part.late) this.#left.push({ attempt, stop });
      else stop.dispose();
    }
  }

  /** Cancels those that were given up on and waits until they have let go of the memory. */
  async end(): Promise<void> {
    const gone = new HoldfastError('Aborted', 'others took its shards', { code: 'lost_race' });
    this.#stragglers.close();
    this.#over.abort(NO_LONGER_NEEDED);
    for (const { stop } of this.#left) stop.abort(gone);
    await Promise.allSettled(this.#left.map(({ attempt }) => attempt));
    for (const { stop } of this.#left.splice(0)) stop.dispose();
  }

  /** @returns after how many milliseconds to decide again; undefined when the upload is given up on. */
  #onLate(upload: Upload, elapsedMs: number): number | undefined {
    const loss = this.#lossWithout(upload.provider);
    if (loss === 'too much') return Number.POSITIVE_INFINITY;
    if (!upload.isAsked) void this.#ask(upload);
    const { stallMs } = this.#session.context.policy;
    const patienceMs = loss === 'none' ? this.#stragglers.lateAfterMs(PACK_WRITES, upload.p95Ms()) : stallMs;
    if (!upload.isSilent && elapsedMs < patienceMs) return Math.min(patienceMs - elapsedMs, RECKON_EVERY_MS);
    upload.giveUp(loss === 'none' ? lostRace(elapsedMs) : stalled(elapsedMs, upload.isSilent));
    return undefined;
  }

  /** What giving up on it would cost in losses survived; `too much`: the promise. */
  #lossWithout(provider: Provider): 'none' | 'some' | 'too much' {
    const { placements, minTolerates } = this.#session;
    const without = placements.tolerates(provider.id);
    if (without < minTolerates) return 'too much';
    return without >= placements.tolerates() ? 'none' : 'some';
  }

  /** Asks again and again while it is waited for: it may fall silent later. */
  async #ask(upload: Upload): Promise<void> {
    const { clock, directory } = this.#session.context;
    const { signal } = this.#over;
    upload.isAsked = true;
    while (!upload.isOver && !signal.aborted) {
      const answers = await directory.respondsToProbe(upload.provider.id, { signal }).catch(() => true);
      upload.isSilent = !answers && !signal.aborted;
      if (upload.isSilent) return this.#stragglers.changed();
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
