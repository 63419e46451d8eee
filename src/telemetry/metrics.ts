import type { Clock } from '../core/clock.ts';

/** The parts of the program report figures to these. Recording never throws, waits or does I/O. */

export interface PipelineMetrics {
  /** One object put: from the first byte read to the commit. */
  putObject(seconds: number, codec: CodecLabels): void;
  /** One chunk put: from the first byte to the last acknowledgement. */
  putChunk(seconds: number, codec: CodecLabels): void;
  chunkSize(bytes: number): void;
  /** Length of an object's first chunk, and of its last full one: what the adaptation did. */
  objectChunkSizes(initialBytes: number, finalBytes: number): void;
  /** Estimated time until the put under way is acknowledged. */
  putEta(seconds: number): void;
  /** All objects were looked at: the losses that each should survive, and the fewest that one does; −1: one is lost. */
  survival(target: number, observed: number): void;
  /** Time spent in one stage of a put or get. Many run side by side, so together they exceed what the clock says. */
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

interface CodecLabels {
  /** Name of the erasure code. */
  readonly erasure: string;
  /** Name of the compression codec. */
  readonly compression: string;
}

export interface ProviderMetrics {
  /** Averages after a probe. @param lossRate 0 to 1. */
  providerHealth(provider: string, rttMs: number, lossRate: number): void;
  /** So many more transfers went wrong in this way. 0 makes the series known. */
  providerFailures(provider: string, kind: string, count: number): void;
}

export interface HousekeepingMetrics {
  /** Work that is left to be done. @param kind e.g. `journals`, `trash`. */
  backlog(kind: string, count: number): void;
  /** Records of a table that cannot be read. */
  unreadable(table: string, count: number): void;
  /** A chore was not done, or not to its end. 0 makes the series known. */
  choreFailed(chore: string, count: number): void;
  /** A chore was done. @param seconds since 1970. */
  choreDone(chore: string, seconds: number): void;
  /** A scrub that is done looked for so many blobs. 0 makes the series known. */
  scrubbed(result: CheckResult, count: number): void;
  /** An audit asked for so many shards. 0 makes the series known. */
  audited(result: CheckResult, count: number): void;
  /** Hours of receipts that are not credited, or with which something is wrong. */
  unsettled(state: string, count: number): void;
  /** What is left to credit reads from. */
  rewardPool(credits: number): void;
}

/** How a provider stood when it was asked for what it should have. */
export const CHECK_RESULTS = ['right', 'missing', 'corrupt', 'unanswered'] as const;
type CheckResult = (typeof CHECK_RESULTS)[number];

/** Why a repair failed: what it could not read, trust, rebuild, store or write down. */
type RepairFailure = 'manifest' | 'integrity' | 'reconstruct' | 'encode' | 'database';

export interface RepairMetrics {
  /** An attempt to repair a chunk has ended. @param status as the log of repairs has it. */
  attempt(status: string): void;
  failure(error: RepairFailure, codec: CodecLabels): void;
  /** So much was stored anew. */
  bytes(count: number): void;
  /** Shards that are known to be missing, rotten or in the wrong place. */
  backlog(shards: number): void;
  /** Time that reads and writes were kept waiting by the limits. Many wait side by side. */
  paced(seconds: number): void;
  /** An attempt to move something has ended. @param kind and status as the log of repairs has them. */
  moved(kind: string, status: string, bytes: number): void;
  /** What was read for repair from a provider today, by UTC. */
  egress(provider: string, bytes: number): void;
}

export interface EngineMetrics {
  /** Table `name` is kept by `engine`. */
  engineInfo(name: string, engine: string): void;
}

/** `blobs`: whole blobs at a node. `manifests` and `chunks`: opened manifests and plaintext at a gateway. */
export type ServiceCache = 'blobs' | 'manifests' | 'chunks';

/** Series that a service may come to have. They are known from its start, so that their first count is a rise. */
export interface ServiceSeries {
  /** Patterns of its routes, each with the server errors that alerts look at. */
  readonly routes: readonly string[];
  /** Why it turns requests away. */
  readonly rejections: readonly string[];
  /** Why it refuses reads. */
  readonly readDenials: readonly string[];
  /** Ways in which bytes may prove wrong. */
  readonly integrity: readonly string[];
}

export interface ServiceMetrics {
  /** Makes series known, at 0. */
  declare(series: ServiceSeries): void;
  /** @param route the pattern of the route, never the path of a request. */
  request(route: string, code: number, seconds: number): void;
  bytesIn(bytes: number): void;
  bytesOut(bytes: number): void;
  /** Requests being served now. */
  inflight(count: number): void;
  gateOpen(gate: string, open: boolean): void;
  rejected(reason: string): void;
  readDenied(reason: string): void;
  integrityFail(reason: string): void;
  /** A look-up in memory found what it looked for, or did not. */
  cache(which: ServiceCache, hit: boolean): void;
  cacheBytes(which: ServiceCache, bytes: number): void;
}

/** Kinds of receipts as the metrics name them. */
type ReceiptKind = 'signed' | 'unsigned' | 'denied' | 'execution';

export interface ReceiptMetrics {
  /** A receipt is on the disk, or a denied read was counted. */
  written(kind: ReceiptKind): void;
  /** Acknowledgements were not taken. 0 makes the series known. @param count default 1. */
  rejected(reason: string, count?: number): void;
  /** A read was given up without anything of it written down. */
  lost(): void;
}

export interface Metrics {
  readonly pipeline: PipelineMetrics;
  readonly providers: ProviderMetrics;
  readonly engines: EngineMetrics;
  readonly housekeeping: HousekeepingMetrics;
  readonly repair: RepairMetrics;
  readonly services: ServiceMetrics;
  readonly receipts: ReceiptMetrics;
}

const nothing = (): void => {};

/** Discards metrics: for commands that expose none, and library callers that want none. */
export const silentMetrics: Metrics = {
  pipeline: {
    putObject: nothing,
    putChunk: nothing,
    chunkSize: nothing,
    objectChunkSizes: nothing,
    putEta: nothing,
    survival: nothing,
    stage: nothing,
  },
  providers: { providerHealth: nothing, providerFailures: nothing },
  engines: { engineInfo: nothing },
  housekeeping: {
    backlog: nothing,
    unreadable: nothing,
    choreFailed: nothing,
    choreDone: nothing,
    scrubbed: nothing,
    audited: nothing,
    unsettled: nothing,
    rewardPool: nothing,
  },
  repair: {
    attempt: nothing,
    failure: nothing,
    bytes: nothing,
    backlog: nothing,
    paced: nothing,
    moved: nothing,
    egress: nothing,
  },
  services: {
    declare: nothing,
    request: nothing,
    bytesIn: nothing,
    bytesOut: nothing,
    inflight: nothing,
    gateOpen: nothing,
    rejected: nothing,
    readDenied: nothing,
    integrityFail: nothing,
    cache: nothing,
    cacheBytes: nothing,
  },
  receipts: { written: nothing, rejected: nothing, lost: nothing },
};

/** Counts the time until `work` has settled to a stage. */
export async function timed<T>(
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Pick<PipelineMetrics, 'stage'> },
  stage: Stage,
  work: () => Promise<T>,
): Promise<T> {
  const started = clock.monotonic();
  try {
    return await work();
  } finally {
    metrics.stage(stage, (clock.monotonic() - started) / 1000);
  }
}
