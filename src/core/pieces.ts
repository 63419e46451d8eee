import { type AbortOptions, abortable, abortError, linkedAbort } from './abort.ts';
import type { Clock } from './clock.ts';
import { asHoldfastError, HoldfastError } from './errors.ts';

/** A piece of work that was not done, and why. */
export interface PieceFailure {
  readonly piece: string;
  readonly error: HoldfastError;
}

/** Of work that has pieces. */
export interface EachOptions extends AbortOptions {
  /** What any one piece may take before its signal fires. Default: a minute. */
  readonly eachMs?: number | undefined;
}

export interface PiecesOptions extends EachOptions {
  /** After its signal has fired, it is waited for so long to write down how far it came. Default 500. */
  readonly settleMs?: number | undefined;
  /** Under way at once. Default: all. */
  readonly parallel?: number | undefined;
}

const EACH_MS = 60_000;
const SETTLE_MS = 500;

/**
 * Does pieces of work that have nothing to do with each other. One that fails, or that hangs whatever its signal says,
 * keeps none of the others from being done. Once the outer signal fires no further one is begun, and those that are left
 * count as failed. Never rejects.
 */
export async function eachAlone<T>(
  clock: Clock,
  pieces: readonly T[],
  nameOf: (piece: T) => string,
  options: PiecesOptions,
  work: (piece: T, signal: AbortSignal) => Promise<void>,
): Promise<PieceFailure[]> {
  const { parallel = pieces.length, signal } = options;
  const failures: PieceFailure[] = [];
  const queue = [...pieces];
  const next = async (): Promise<void> => {
    for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
      const one = piece;
      try {
        if (signal?.aborted) throw abortError(signal, nameOf(one));
        await alone(clock, nameOf(one), options, (its) => work(one, its));
      } catch (error) {
        failures.push({ piece: nameOf(one), error: asHoldfastError(error) });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(parallel, pieces.length) }, next));
  return failures;
}

async function alone(
  clock: Clock,
  name: string,
  { eachMs = EACH_MS, settleMs = SETTLE_MS, signal }: PiecesOptions,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const ends = linkedAbort(signal, name);
  const late = (): void => ends.abort(new HoldfastError('Timeout', `${name} took longer than ${eachMs} ms`));
  const givenUp = new AbortController();
  let cancelGiveUp = (): void => {};
  const giveUp = (): void => {
    cancelGiveUp = clock.timer(settleMs, () => givenUp.abort(abortError(ends.signal, name)));
  };
  ends.signal.addEventListener('abort', giveUp, { once: true });
  const cancelLate = clock.timer(eachMs, late);
  try {
    await abortable(work(ends.signal), givenUp.signal, name);
  } finally {
    cancelLate();
    cancelGiveUp();
    ends.signal.removeEventListener('abort', giveUp);
    ends.dispose();
  }
}
