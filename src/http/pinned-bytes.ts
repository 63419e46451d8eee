import type { Exchange } from './exchange.ts';
import type { ByteRange } from './message/range.ts';
import type { TransferAllowance } from './message/transfer-allowance.ts';

/** Bytes in memory that is used again. */
export interface PinnedBytes {
  readonly bytes: Uint8Array;
  /** Nothing reads the bytes any more. Called again it does nothing. */
  release(): void;
}

/** Bytes of a window, or undefined when there is no memory for them now. */
export type Hold = (range: ByteRange, signal: AbortSignal) => Promise<PinnedBytes | undefined>;

/** A window up to this long is held as one. */
const WHOLE_BYTES = 2 * 1024 * 1024;
/** A longer one goes in steps that end at multiples of this, where pieces of blobs end too. */
const STEP_BYTES = 1024 * 1024;

export function firstStep({ start, end }: ByteRange): ByteRange {
  if (end - start <= WHOLE_BYTES) return { start, end };
  return { start, end: (Math.floor(start / STEP_BYTES) + 1) * STEP_BYTES };
}

/**
 * Sends a window under a head that has been written, one step in memory at a time. Returns where it stopped for want of
 * memory, or the end of the window.
 * @param first step of the window; like the others it is released when it is sent or the connection gone.
 */
export async function sendHeld(
  exchange: Exchange,
  first: PinnedBytes,
  { start, end }: ByteRange,
  hold: Hold,
  patience: TransferAllowance,
): Promise<number> {
  let at = start;
  let held: PinnedBytes | undefined = first;
  exchange.atEnd(() => held?.release());
  for (;;) {
    const { length } = held.bytes;
    at += length;
    exchange.bytesOut += length;
    patience.moved(length);
    exchange.working = false;
    await patience.wait(written(exchange, held.bytes));
    exchange.working = true;
    held.release();
    if (at === end) return at;
    held = await hold(firstStep({ start: at, end }), exchange.signal);
    if (held === undefined) return at;
    // Whoever waited for the end of the answer has been told already.
    if (exchange.signal.aborted) held.release();
  }
}

/** Resolves once the socket needs the bytes no more. */
function written({ response, signal }: Exchange, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const gone = (): void => reject(signal.reason);
    const settle = (error?: Error | null): void => {
      signal.removeEventListener('abort', gone);
      if (error) reject(error);
      else resolve();
    };
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) return gone();
    response.write(bytes, settle);
  });
}
