import type { BlobAdapter } from './adapter.ts';

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
