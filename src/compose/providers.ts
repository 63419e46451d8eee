import type { Config, ProviderConfig } from '../config/types.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { RandomBytes } from '../core/random.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { AttemptObserver } from '../providers/layers/metrics.ts';
import { withLayers } from '../providers/layers/with-layers.ts';
import type { Provider } from '../providers/provider.ts';

export interface ProviderDeps {
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly blake3: Blake3;
  readonly onAttempt: AttemptObserver;
  readonly log: LogSink;
}

/** The configured providers, each with its layers. An adapter's code is loaded only where one is configured. */
export async function buildProviders(config: Config, deps: ProviderDeps): Promise<Provider[]> {
  return Promise.all(
    config.providers.map(async (provider) => ({
      id: provider.id,
      adapter: withLayers(await buildAdapter(provider, deps), {
        ...deps,
        callTimeoutMs: config.limits.requestMs,
        maxAttempts: config.limits.maxAttempts,
        maxConcurrency: provider.maxConcurrency,
      }),
      domain: provider.domain,
      credits: provider.credits,
      price: provider.price,
      maxConcurrency: provider.maxConcurrency,
    })),
  );
}

async function buildAdapter(provider: ProviderConfig, deps: ProviderDeps): Promise<BlobAdapter> {
  switch (provider.adapter) {
    case 'fs': {
      const { createFsAdapter } = await import('../providers/fs/index.ts');
      return createFsAdapter({ ...deps, id: provider.id, root: provider.root });
    }
    case 'memory': {
      const { createMemoryAdapter } = await import('../providers/memory/index.ts');
      return createMemoryAdapter({ ...deps, id: provider.id });
    }
  }
}
