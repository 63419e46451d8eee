import type { BlobAdapter } from './adapter.ts';
import type { OpenDeps } from './kind.ts';
import type { BreakerOptions } from './layers/breaker.ts';
import type { LogSink } from './layers/log.ts';
import type { AttemptObserver } from './layers/metrics.ts';
import type { RetryOptions } from './layers/retry.ts';
import type { TimeoutOptions } from './layers/timeout.ts';
import { withLayers } from './layers/with-layers.ts';
import { type AdapterEntry, type AdapterKinds, type AnyEntry, openAdapter } from './registry.ts';

/** Labels whose holders fail together. Providers that share a label at the level in force count as one loss. */
export interface DomainLabels {
  readonly provider: string;
  readonly account: string;
  readonly region: string;
}

/** An adapter with its layers, and what the operator said about it. */
export interface Provider {
  readonly id: string;
  readonly adapter: BlobAdapter;
  readonly domain: DomainLabels;
  /** Credits configured by hand; 1 credit is 1 MiB of logical quota. Undefined: not limited by the config. */
  readonly credits?: number | undefined;
  /** Relative cost of reading a byte; the cheaper of two equal shards is read. Default 1. */
  readonly price: number;
  readonly maxConcurrency: number;
}

/** One provider as the configuration describes it. */
export type ProviderEntry = ProviderTerms & AdapterEntry;

/** What an entry says whatever its adapter. */
export interface ProviderTerms {
  readonly id: string;
  readonly domain: DomainLabels;
  readonly credits?: number | undefined;
  readonly price: number;
  readonly maxConcurrency: number;
  readonly upBytesPerSecond?: number | undefined;
  readonly downBytesPerSecond?: number | undefined;
}

export interface ProviderDeps
  extends OpenDeps,
    Pick<BreakerOptions, 'onBreaker'>,
    Pick<RetryOptions, 'maxAttempts'>,
    Pick<TimeoutOptions, 'callTimeoutMs'> {
  readonly onAttempt: AttemptObserver;
  readonly log: LogSink;
  /** Kinds that entries may name. Default: those that come with Holdfast. */
  readonly kinds?: AdapterKinds | undefined;
}

/** An entry made into a provider, with all its layers. Nothing is sent to it yet. */
export async function createProvider(
  entry: ProviderEntry | (ProviderTerms & AnyEntry),
  deps: ProviderDeps,
): Promise<Provider> {
  const { id, domain, credits, price, maxConcurrency } = entry;
  const adapter = withLayers(await openAdapter(entry, deps, deps.kinds), { ...entry, ...deps });
  return { id, adapter, domain, credits, price, maxConcurrency };
}
