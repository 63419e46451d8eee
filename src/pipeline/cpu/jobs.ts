import type { CodecName } from '../../coding/compress/codec.ts';
import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import type { CodeParams } from '../../coding/erasure/params.ts';
import { shardStride } from '../../coding/erasure/shape.ts';
import type { KnownTiles } from '../../coding/erasure/xor-program.ts';
import type { Acceleration } from '../../core/acceleration.ts';
import type { Clock } from '../../core/clock.ts';
import type { WasmMemory } from '../../core/wasm.ts';
import type { PipelineMetrics, Stage } from '../../telemetry/index.ts';

/**
 * The CPU stage: what costs processor time per chunk, as one job each, over slabs of the shared arena. Jobs are
 * plain data, so they run on the calling thread or on a worker alike. A job is short and is never cut off: it writes to
 * memory that is given to others as soon as it has ended.
 */
export interface CpuStage {
  /** Compresses, pads, encrypts, erasure-codes and hashes one chunk in place. */
  encode(job: EncodeJob): Promise<EncodeResult>;
  /** Checks shards, rebuilds missing data, authenticates, decrypts and decompresses one chunk. */
  decode(job: DecodeJob): Promise<DecodeResult>;
  /** Checks shards, and computes others of the same chunk from them. Needs no key. */
  rebuild(job: RebuildJob): Promise<RebuildResult>;
  /** BLAKE3 of ranges of the arena: one digest for each inner list, over its ranges in order. */
  hash(job: HashJob): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

/** What a worker thread starts with. */
export interface WorkerSetup {
  readonly memory: WasmMemory;
  readonly acceleration: Acceleration;
  readonly tiles: KnownTiles;
}

export type WorkerJob =
  | { readonly kind: 'encode'; readonly job: EncodeJob }
  | { readonly kind: 'decode'; readonly job: DecodeJob }
  | { readonly kind: 'rebuild'; readonly job: RebuildJob }
  | { readonly kind: 'hash'; readonly job: HashJob };

interface ChunkJob {
  readonly code: CodeParams;
  /** 32 bytes, for this chunk only. */
  readonly key: Uint8Array;
  readonly objectId: Uint8Array;
  readonly index: number;
  readonly last: boolean;
  readonly plainLength: number;
}

export interface EncodeJob extends ChunkJob {
  /** Start of the slab, and of the first shard once encoded; see {@link slabBytes}. */
  readonly base: number;
  /** Where the plaintext stands, in the same slab. */
  readonly frame: number;
  readonly codec: CodecName;
  readonly level: number;
  readonly check: WriteCheck;
  /** BLAKE3 of the plaintext as it was read; empty where not the whole is checked. */
  readonly plainHash: Uint8Array;
  /** 32 random bits for the check. */
  readonly seed: number;
}

/**
 * How much of a chunk's encoding is checked: nothing; that what was compressed can be decompressed; the whole way back
 * from the shards, by another cipher; or that with another hash too, which costs a start of its own in every thread.
 */
export type WriteCheck = 'none' | 'compression' | 'way-back' | 'twice';

export interface EncodeResult {
  /** Id of the codec that was used: `none` when the chunk did not shrink. */
  readonly codec: number;
  readonly storedLength: number;
  readonly shardLength: number;
  /** Poly1305, 16 bytes. */
  readonly tag: Uint8Array;
  /** BLAKE3 of the shards, 32 bytes each. */
  readonly digests: Uint8Array;
  readonly spent: Spent;
}

/** The shards of one chunk, some of them in the arena. */
export interface ShardsInPlace {
  /** Arena offset by shard number. */
  readonly offsets: readonly number[];
  readonly shardLength: number;
  /** Shards whose bytes are in place. */
  readonly present: readonly number[];
  /** Expected BLAKE3 of all shards, 32 bytes each. */
  readonly digests: Uint8Array;
}

/** Data shards stand in their order, fetched or not, so that the plaintext can be moved together at the first one's place. */
export interface DecodeJob extends ChunkJob, ShardsInPlace {
  readonly tag: Uint8Array;
  readonly codec: number;
  readonly storedLength: number;
}

export interface DecodeResult {
  /** Shards whose bytes are not what the manifest says: nothing was decoded then. Else the plaintext is in place. */
  readonly bad: readonly number[];
  readonly spent: Spent;
}

export interface RebuildJob extends ShardsInPlace {
  readonly code: CodeParams;
  /** Shards to be computed, to their places. */
  readonly missing: readonly number[];
}

export interface RebuildResult {
  /** Shards that were present and whose bytes are not what the manifest says: nothing was computed then. */
  readonly bad: readonly number[];
  /** Shards that were computed and are not what the manifest says: what was put does not belong together. */
  readonly wrong: readonly number[];
  readonly spent: Spent;
}

export interface HashJob {
  /** For each digest the ranges it covers: offset, length, offset, length… */
  readonly ranges: readonly (readonly number[])[];
  /** Hashed again by another implementation. */
  readonly twice: boolean;
}

export type Spent = Partial<Record<Stage, number>>;

/** Milliseconds that the stages of one job took, one after the other. */
export class Laps {
  readonly spent: Spent = {};
  readonly #now: () => number;
  #last: number;

  /** @param now milliseconds from any start. */
  constructor(now: () => number) {
    this.#now = now;
    this.#last = now();
  }

  /** What was done since the last lap was this. */
  end(stage: Stage): void {
    const now = this.#now();
    this.spent[stage] = (this.spent[stage] ?? 0) + now - this.#last;
    this.#last = now;
  }
}

/** Counts a job's own account to its stages, and what is left of the time since `startedMs` as waiting. */
export function accountFor(
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Pick<PipelineMetrics, 'stage'> },
  startedMs: number,
  spent: Spent,
): void {
  let waited = clock.monotonic() - startedMs;
  for (const [stage, ms] of Object.entries(spent) as [Stage, number][]) {
    metrics.stage(stage, ms / 1000);
    waited -= ms;
  }
  metrics.stage('queue', Math.max(0, waited) / 1000);
}

/** Bytes of a slab that holds a chunk's plaintext and then all its shards. */
export const slabBytes = (code: LinearCode, plainLength: number): number =>
  code.totalShards * shardStride(code.shardLength(plainLength));

/**
 * Where the plaintext is read to: the end of the slab. The cipher moves it forward into the shards' places, always
 * behind what it has read.
 */
export const frameOffset = (code: LinearCode, plainLength: number): number =>
  slabBytes(code, plainLength) - code.dataShards * code.shardLength(plainLength);

/** Offset of each of `count` shards from the first: apart, so that they do not compete for the same cache lines. */
export const shardOffsets = (base: number, count: number, shardLength: number): number[] =>
  Array.from({ length: count }, (_, shard) => base + shard * shardStride(shardLength));
