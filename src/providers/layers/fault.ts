import { abortError } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { type ErrorKind, HoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { createDice, type SeededRandom } from './seeded-random.ts';
import { type Operation, wrapAdapter } from './wrap.ts';

/** What goes wrong, and how often: probabilities from 0 to 1. All absent: nothing does. */
export interface FaultPlan {
  /** Only these operations are affected. Default: all. */
  readonly operations?: readonly Operation[] | undefined;
  /** Added to each call: a fixed time, or one drawn evenly from a range. */
  readonly latencyMs?: number | readonly [number, number] | undefined;
  /** The request never arrives: `Unavailable`, nothing done. */
  readonly lose?: number | undefined;
  /** It is done, but the answer never arrives: `Unavailable`. */
  readonly loseAnswer?: number | undefined;
  /** No answer until the caller gives up. */
  readonly hang?: number | undefined;
  /** What is returned misses its second half. */
  readonly truncate?: number | undefined;
  /** One bit of what is returned is wrong. */
  readonly flipBit?: number | undefined;
  /** What is returned has bytes too many. */
  readonly lengthen?: number | undefined;
  /** A stream never ends. */
  readonly endless?: number | undefined;
  /** Writes are acknowledged and dropped. */
  readonly blackHole?: number | undefined;
  /** Probes are answered in a millisecond whatever the state of the provider. */
  readonly lieOnProbe?: boolean | undefined;
  /** Every call fails like this. */
  readonly error?: ErrorKind | undefined;
}

export interface FaultOptions {
  readonly clock: Clock;
  /** The same seed and the same calls in the same order give the same faults. */
  readonly seed: number;
}

export interface FaultyAdapter extends BlobAdapter {
  /** In force from the next call on. */
  setFaults(plan: FaultPlan): void;
}

/** A provider that misbehaves on demand, for tests and drills. */
export function withFaults(
  inner: BlobAdapter,
  { clock, seed }: FaultOptions,
  first: FaultPlan = {},
): FaultyAdapter {
  let plan = first;
  const dice = createDice(seed);
  const affects = (operation: Operation): boolean => plan.operations?.includes(operation) ?? true;
  const hits = (operation: Operation, chance: number | undefined): boolean =>
    chance !== undefined && affects(operation) && dice.hits(chance);

  /** What may go wrong before a call reaches the provider. */
  const before = async (operation: Operation, signal: AbortSignal | undefined): Promise<void> => {
    if (!affects(operation)) return;
    if (plan.latencyMs !== undefined) await clock.sleep(dice.within(plan.latencyMs), signal);
    if (hits(operation, plan.hang)) await hang(signal);
    if (plan.error !== undefined) throw new HoldfastError(plan.error, 'a failure was ordered', { operation });
    if (hits(operation, plan.lose)) throw lost(operation);
  };

  const base = wrapAdapter(inner, {
    async call(info, signal, run) {
      const { operation } = info;
      if (operation === 'probe' && plan.lieOnProbe) return { rttMs: 1 } as Awaited<ReturnType<typeof run>>;
      await before(operation, signal);
      const answer = await run(signal);
      if (hits(operation, plan.loseAnswer)) throw lost(operation);
      return answer;
    },
    async *stream(info, signal, open) {
      await before(info.operation, signal);
      yield* open(signal);
    },
  });

  return {
    ...base,
    setFaults(next) {
      plan = next;
    },
    async store(address, parts, options) {
      if (!hits('store', plan.blackHole)) return base.store(address, parts, options);
      await before('store', options?.signal);
      return { existed: false };
    },
    async fetch(address, options) {
      return damage(await base.fetch(address, options), dice, {
        truncate: hits('fetch', plan.truncate),
        flipBit: hits('fetch', plan.flipBit),
        lengthen: hits('fetch', plan.lengthen),
      });
    },
    async fetchRange(address, offset, into, options) {
      await base.fetchRange(address, offset, into, options);
      const longest = into.reduce((a, b) => (b.length > a.length ? b : a), new Uint8Array());
      if (hits('fetchRange', plan.truncate)) longest.fill(0, longest.length >> 1);
      if (hits('fetchRange', plan.flipBit)) dice.flipBit(longest);
    },
    async *fetchStream(address, options) {
      const cut = hits('fetchStream', plan.truncate);
      const flip = hits('fetchStream', plan.flipBit);
      const endless = hits('fetchStream', plan.endless);
      for await (const piece of base.fetchStream(address, options)) {
        if (flip) dice.flipBit(piece);
        yield cut ? piece.subarray(0, piece.length >> 1) : piece;
        if (cut) return;
      }
      while (endless) {
        if (options?.signal?.aborted) throw abortError(options.signal, 'fetchStream');
        yield new Uint8Array(64 * 1024);
      }
    },
  };
}

function damage(
  bytes: Uint8Array,
  dice: SeededRandom,
  kinds: { readonly truncate: boolean; readonly flipBit: boolean; readonly lengthen: boolean },
): Uint8Array {
  if (kinds.flipBit) dice.flipBit(bytes);
  if (kinds.truncate) return bytes.slice(0, bytes.length >> 1);
  if (!kinds.lengthen) return bytes;
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  return longer;
}

/** Without a signal it hangs for good, as the real thing would. */
function hang(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(abortError(signal)), { once: true });
  });
}

const lost = (operation: Operation): HoldfastError =>
  new HoldfastError('Unavailable', 'the connection was lost', { operation, code: 'connection_lost' });
