import { abortError } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { type ErrorKind, HoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { type Around, type CallInfo, type Operation, wrapAdapter } from './wrap.ts';

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
export function withFaults(inner: BlobAdapter, options: FaultOptions, first: FaultPlan = {}): FaultyAdapter {
  const faults = new Faults(options, first);
  const base = wrapAdapter(inner, faults);
  return {
    ...base,
    setFaults(next) {
      faults.plan = next;
    },
    async store(address, parts, options) {
      if (!faults.hits('store', 'blackHole')) return base.store(address, parts, options);
      await faults.before('store', options?.signal);
      return { existed: false };
    },
    async fetch(address, options) {
      return damage(await base.fetch(address, options), faults.dice, {
        truncate: faults.hits('fetch', 'truncate'),
        flipBit: faults.hits('fetch', 'flipBit'),
        lengthen: faults.hits('fetch', 'lengthen'),
      });
    },
    async fetchRange(address, offset, into, options) {
      await base.fetchRange(address, offset, into, options);
      const longest = into.reduce((a, b) => (b.length > a.length ? b : a), new Uint8Array());
      if (faults.hits('fetchRange', 'truncate')) longest.fill(0, longest.length >> 1);
      if (faults.hits('fetchRange', 'flipBit')) faults.dice.flipBit(longest);
    },
    async *fetchStream(address, options) {
      const cut = faults.hits('fetchStream', 'truncate');
      const flip = faults.hits('fetchStream', 'flipBit');
      const endless = faults.hits('fetchStream', 'endless');
      for await (const piece of base.fetchStream(address, options)) {
        if (flip) faults.dice.flipBit(piece);
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

/** The faults that some calls in a hundred have. */
type Chance = 'lose' | 'loseAnswer' | 'hang' | 'truncate' | 'flipBit' | 'lengthen' | 'endless' | 'blackHole';

/** What goes wrong with calls as such, whatever they ask for. */
class Faults implements Around {
  readonly dice: SeededRandom;
  plan: FaultPlan;
  readonly #clock: Clock;

  constructor({ clock, seed }: FaultOptions, first: FaultPlan) {
    this.#clock = clock;
    this.dice = createDice(seed);
    this.plan = first;
  }

  hits(operation: Operation, fault: Chance): boolean {
    const chance = this.plan[fault];
    return chance !== undefined && this.#affects(operation) && this.dice.hits(chance);
  }

  /** What may go wrong before a call reaches the provider. */
  async before(operation: Operation, signal: AbortSignal | undefined): Promise<void> {
    if (!this.#affects(operation)) return;
    const { latencyMs, error } = this.plan;
    if (latencyMs !== undefined) await this.#clock.sleep(this.dice.within(latencyMs), signal);
    if (this.hits(operation, 'hang')) await hang(signal);
    if (error !== undefined) throw new HoldfastError(error, 'a failure was ordered', { operation });
    if (this.hits(operation, 'lose')) throw lost(operation);
  }

  async call<T>(
    { operation }: CallInfo,
    signal: AbortSignal | undefined,
    run: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    if (operation === 'probe' && this.plan.lieOnProbe) return { rttMs: 1 } as T;
    await this.before(operation, signal);
    const answer = await run(signal);
    if (this.hits(operation, 'loseAnswer')) throw lost(operation);
    return answer;
  }

  async *stream<T>(
    { operation }: CallInfo,
    signal: AbortSignal | undefined,
    open: (signal: AbortSignal | undefined) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    await this.before(operation, signal);
    yield* open(signal);
  }

  #affects(operation: Operation): boolean {
    return this.plan.operations?.includes(operation) ?? true;
  }
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

/** Chance that can be repeated. Never for keys, salts or names. */
interface SeededRandom {
  hits(probability: number): boolean;
  within(range: number | readonly [number, number]): number;
  /** Changes one bit in place, if there is one. */
  flipBit(bytes: Uint8Array): void;
}

/** Numbers from xorshift32 (G. Marsaglia, "Xorshift RNGs", 2003). */
function createDice(seed: number): SeededRandom {
  let state = (seed ^ 0x9e3779b9) | 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  return {
    hits: (probability) => probability >= 1 || next() < probability,
    within: (range) => (typeof range === 'number' ? range : range[0] + next() * (range[1] - range[0])),
    flipBit(bytes) {
      const at = Math.floor(next() * bytes.length);
      if (bytes.length > 0) bytes[at] = bytes[at]! ^ (1 << Math.floor(next() * 8));
    },
  };
}
