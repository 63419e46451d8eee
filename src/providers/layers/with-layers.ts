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

/** An adapter made fit for use: the layers around it, innermost first. */
export function withLayers(adapter: BlobAdapter, options: LayerOptions): BlobAdapter {
  const timed = withTimeout(adapter, options);
  const measured = withMetrics(timed, options);
  const retried = withRetry(measured, options);
  const limited = withConcurrencyLimit(retried, options);
  const paced = withBandwidthLimit(limited, options);
  const broken = withBreaker(paced, options);
  return withLog(broken, options);
}
