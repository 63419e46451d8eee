import { systemClock } from '../../core/clock.ts';
import { type ErrorKind, HoldfastError } from '../../core/errors.ts';

/** Assertions without a test framework. */

export function check(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

export function checkBytes(actual: Uint8Array, expected: Uint8Array, what: string): void {
  check(actual.length === expected.length, `${what}: ${actual.length} bytes instead of ${expected.length}`);
  for (let i = 0; i < expected.length; i++) {
    if (actual[i] !== expected[i]) throw new Error(`${what}: byte ${i} differs`);
  }
}

export async function checkRejects(
  promise: Promise<unknown>,
  kinds: ErrorKind | readonly ErrorKind[],
  what: string,
): Promise<HoldfastError> {
  const allowed = typeof kinds === 'string' ? [kinds] : kinds;
  const error: unknown = await promise.then(
    () => new Error('it resolved'),
    (reason: unknown) => reason,
  );
  if (error instanceof HoldfastError && allowed.includes(error.kind)) return error;
  const seen = error instanceof HoldfastError ? `${error.kind} (${error.message})` : String(error);
  throw new Error(`${what}: expected ${allowed.join(' or ')}, got ${seen}`, { cause: error });
}

/** By a provider's clock, which may be wrong, but not by decades. */
export function checkTime(unixMs: number | undefined): void {
  if (unixMs === undefined) return;
  check(Number.isSafeInteger(unixMs) && unixMs > 946_684_800_000, `${unixMs} is no time of this century`);
}

export async function drain<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of source) all.push(item);
  return all;
}

export async function* piecesOf(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

/** For what follows soon after, without a promise to wait for. */
export async function eventually(condition: () => boolean, message: string): Promise<void> {
  for (let round = 0; round < 200 && !condition(); round++) await systemClock.sleep(5);
  check(condition(), message);
}
