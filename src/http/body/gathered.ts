import type { Clock } from '../../core/clock.ts';
import type { Exchange } from '../exchange.ts';
import { type PatienceLimits, tooSlow } from '../message/patience.ts';
import { cutShort } from './incoming.ts';

export interface GatherOptions {
  readonly clock: Clock;
  readonly patience: PatienceLimits;
}

/**
 * Copies a whole body of stated length into memory that has that length. For bodies short enough to be kept: costs
 * much less than pulling them piece by piece.
 * @throws HttpProblem 400 when it ends early; HoldfastError `Timeout` when it comes too slowly.
 */
export function gatherBody(
  exchange: Exchange,
  into: Uint8Array,
  { clock, patience }: GatherOptions,
): Promise<void> {
  const { request } = exchange;
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
      into.set(piece, size);
      size += piece.length;
      exchange.bytesIn += piece.length;
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
