import type { BlobAdapter } from '../../../src/providers/adapter.ts';
import {
  mirrorOf,
  withBandwidthLimit,
  withBreaker,
  withConcurrencyLimit,
  withFaults,
  withLayers,
  withLog,
  withMetrics,
  withRetry,
  withTimeout,
} from '../../../src/providers/layers/index.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import { deps, describeConformance } from '../conform.ts';

const options = { ...deps, onAttempt: () => {}, log: () => {}, maxConcurrency: 8, maxWaiting: 100_000 };
const fast = { upBytesPerSecond: 1e9, downBytesPerSecond: 1e9 };

const layers: Record<string, (inner: BlobAdapter) => BlobAdapter> = {
  timeout: (inner) => withTimeout(inner, options),
  metrics: (inner) => withMetrics(inner, options),
  retry: (inner) => withRetry(inner, options),
  'concurrency limit': (inner) => withConcurrencyLimit({ ...inner }, { ...options, maxConcurrency: 1 }),
  'bandwidth limit': (inner) => withBandwidthLimit(inner, { ...options, ...fast }),
  'circuit breaker': (inner) => withBreaker(inner, options),
  log: (inner) => withLog(inner, options),
  'no faults': (inner) => withFaults(inner, { ...options, seed: 1 }),
  'latency and lost requests, retried': (inner) =>
    withLayers(
      withFaults(
        inner,
        { ...options, seed: 7 },
        {
          operations: ['store', 'fetch', 'fetchRange', 'fetchStream', 'exists', 'stat', 'list', 'readSlot'],
          latencyMs: [0, 2],
          lose: 0.05,
          loseAnswer: 0.05,
        },
      ),
      { ...options, maxAttempts: 8, baseDelayMs: 1 },
    ),
  'all layers': (inner) => withLayers(inner, { ...options, ...fast }),
};

for (const [name, wrap] of Object.entries(layers)) {
  describeConformance(`memory behind ${name}`, {
    open: () => wrap(createMemoryAdapter({ id: 'm', ...deps })),
    largeBytes: 3 * 1024 * 1024,
  });
}

describeConformance('a mirror of three in memory', {
  open: () => {
    const [first, ...rest] = ['a', 'b', 'c'].map((id) => createMemoryAdapter({ id, ...deps }));
    return mirrorOf('m', [first!, ...rest]);
  },
  largeBytes: 3 * 1024 * 1024,
});
