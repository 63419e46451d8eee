import type { BlobAdapter } from '../adapter.ts';
import { type BandwidthOptions, withBandwidthLimit } from './bandwidth.ts';
import { type BreakerOptions, withBreaker } from './breaker.ts';
import { type ConcurrencyOptions, withConcurrencyLimit } from './concurrency.ts';
import { type LogOptions, withLog } from './log.ts';
import { type MetricsOptions, withMetrics } from './metrics.ts';
import { type RetryOptions, withRetry } from './retry.ts';
import { type TimeoutOptions, withTimeout } from './timeout.ts';

export type LayerOptions = TimeoutOptions &
  MetricsOptions &
  RetryOptions &
  ConcurrencyOptions &
  BandwidthOptions &
  BreakerOptions &
  LogOptions;

/**
 * An adapter made fit for use: the layers around it, innermost first. Retry stands outside both limits: a call that backs
 * off holds no seat, and each attempt pays for its bytes.
 */
export function withLayers(adapter: BlobAdapter, options: LayerOptions): BlobAdapter {
  const timed = withTimeout(adapter, options);
  const measured = withMetrics(timed, options);
  const limited = withConcurrencyLimit(measured, options);
  const paced = withBandwidthLimit(limited, options);
  const retried = withRetry(paced, options);
  const broken = withBreaker(retried, options);
  return withLog(broken, options);
}
