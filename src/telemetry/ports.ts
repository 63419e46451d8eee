/** Where the parts of the program report figures to. Recording never throws, waits or does I/O. */

export interface PipelineMetrics {
  /** One object put: from the first byte read to the commit. */
  putObject(seconds: number, codec: CodecLabels): void;
  /** One chunk put: from the first byte to the last acknowledgement. */
  putChunk(seconds: number, codec: CodecLabels): void;
  chunkSize(bytes: number): void;
  /** Length of an object's first chunk, and of its last full one: what the adaptation did. */
  objectChunkSizes(initialBytes: number, finalBytes: number): void;
  /** Estimated time to the end of the put under way. */
  putEta(seconds: number): void;
  /** Time spent in one stage of a put or get. Many run side by side: together they exceed what the clock says. */
  stage(stage: Stage, seconds: number): void;
}

/** Where the time of a put or get can go, in the order of the data. */
export const STAGES = [
  'source', // reading what is to be stored
  'object-hash',
  'memory', // waiting for room in the arena
  'queue', // waiting for a processor
  'compress',
  'encrypt',
  'encode',
  'shard-hash',
  'write-check', // of what was just compressed, encrypted, encoded and hashed
  'pack-hash',
  'store', // packs at providers
  'manifest', // nodes at providers
  'fetch', // ranges from providers
  'shard-check',
  'rebuild',
  'decrypt',
  'decompress',
] as const;

export type Stage = (typeof STAGES)[number];

export interface CodecLabels {
  /** Name of the erasure code. */
  readonly erasure: string;
  /** Name of the compression codec. */
  readonly compression: string;
}

export interface ProviderMetrics {
  /** Averages after a probe. @param lossRate 0 to 1. */
  providerHealth(provider: string, rttMs: number, lossRate: number): void;
}

export interface EngineMetrics {
  /** Table `name` is kept by `engine`. */
  engineInfo(name: string, engine: string): void;
}

export type RepairFailure = 'manifest' | 'integrity' | 'reconstruct' | 'encode' | 'database';

export interface RepairMetrics {
  repairAttempt(status: 'success' | 'failure' | 'skipped' | 'fatal'): void;
  repairFailure(error: RepairFailure, codec: CodecLabels): void;
  repairedBytes(bytes: number): void;
  /** Losses that objects should survive, and the fewest that one survives now. */
  replication(target: number, observed: number): void;
}

/** `blobs`: whole blobs at a node. `manifests` and `chunks`: opened manifests and plaintext at a gateway. */
export type ServiceCache = 'blobs' | 'manifests' | 'chunks';

export interface ServiceMetrics {
  /** @param route the pattern of the route, never the path of a request. */
  request(route: string, code: number, seconds: number): void;
  bytesIn(bytes: number): void;
  bytesOut(bytes: number): void;
  /** Requests being served now. */
  inflight(count: number): void;
  rejected(reason: string): void;
  readDenied(reason: string): void;
  integrityFail(reason: string): void;
  /** Something was looked for in memory, and was there or not. */
  cache(which: ServiceCache, hit: boolean): void;
  cacheBytes(which: ServiceCache, bytes: number): void;
}

export interface Metrics {
  readonly pipeline: PipelineMetrics;
  readonly providers: ProviderMetrics;
  readonly engines: EngineMetrics;
  readonly repair: RepairMetrics;
  readonly services: ServiceMetrics;
}
