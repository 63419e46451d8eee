import type { Clock } from '../../core/clock.ts';
import type { Exchange } from '../exchange.ts';
import { type PatienceLimits, tooSlow } from '../message/transfer-allowance.ts';
import { beyondLength, cutShort } from './incoming.ts';

export interface GatherOptions {
  readonly clock: Clock;
  readonly patience: PatienceLimits;
}

/**
 * Copies a whole body of stated length into memory that has that length. For bodies short enough to be kept: costs
 * much less than pulling them piece by piece.
 * @throws HttpProblem 400 when it has another length; HoldfastError `Timeout` when it comes too slowly.
 */
export function gatherBody(
  exchange: Exchange,
  into: Uint8Array,
  { clock, patience }: GatherOptions,
): Promise<void> {
  const { request } = exchange;
  if (request.destroyed) return Promise.reject(cutShort());
  const start = clock.monotonic();
  let size = 0;
  const deadline = (): number => start + patience.graceMs + (1000 * size) / patience.minBytesPerSecond;
  exchange.invite();
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      unwatch();
      request.off('data', take).off('end', ended).off('error', failed).off('close', ended);
      if (error === undefined) resolve();
      else reject(error);
    };
    const take = (piece: Buffer): void => {
      exchange.bytesIn += piece.length;
      // The length was read from a header and the body by a parser: the two need not agree.
      if (size + piece.length > into.length) {
        request.pause();
        settle(beyondLength());
        return;
      }
      into.set(piece, size);
      size += piece.length;
    };
    const ended = (): void => settle(request.complete && size === into.length ? undefined : cutShort());
    const failed = (error: Error): void => settle(cutShort(error));
    const unwatch = exchange.slow.watch(deadline, () => {
      request.pause();
      settle(tooSlow());
    });
    request.on('data', take).once('end', ended).once('error', failed).once('close', ended);
  });
}
