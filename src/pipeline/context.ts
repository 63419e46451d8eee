import type { ProviderDirectory } from '../catalog/directory.ts';
import type { CodecName } from '../coding/compress/codec.ts';
import type { LinearCode } from '../coding/erasure/linear-code.ts';
import type { BlobAddress } from '../core/address.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { RandomBytes } from '../core/random.ts';
import type { BatchOp } from '../engine/engine.ts';
import type { ObjectContext } from '../object/context.ts';
import type { DomainLevel } from '../placement/domains.ts';
import type { RecordsContext, WithRetention } from '../records/context.ts';
import type { WithPlaces } from '../records/places.ts';
import type { PipelineMetrics } from '../telemetry/index.ts';
import type { Arena } from './arena.ts';
import type { CpuStage } from './cpu/jobs.ts';

/** What moving an object's bytes takes: no names, no records. */
export interface TransferContext extends ObjectContext {
  readonly directory: ProviderDirectory;
  readonly arena: Arena;
  readonly cpu: CpuStage;
  readonly random: RandomBytes;
  /** Another implementation than `blake3`, where there is one. */
  secondBlake3(): Promise<Blake3>;
  readonly metrics: PipelineMetrics;
  readonly policy: Policy;
}

/** What finding objects and reading them takes. */
export interface ReadContext extends TransferContext, RecordsContext {
  readonly directory: ProviderDirectory;
  readonly metrics: PipelineMetrics;
  readonly policy: Policy;
}

/** An object that a put stores. */
interface StoredObject {
  /** Of its manifest. */
  readonly address: BlobAddress;
  readonly size: number;
}

/** What puts and gets work with; the program builds it once. */
export interface VaultContext extends ReadContext, WithRetention, WithPlaces {
  /** What is written in the step that makes an object one of the vault. */
  readonly alsoOfPut?: (stored: StoredObject) => readonly BatchOp[];
  /** Whether an owner of journals is gone; its mark differs whenever it has written to them. */
  readonly isOver: (owner: string, mark: string) => Promise<boolean>;
  /** Whether an owner that was at work then will do nothing any more. */
  readonly isGone: (owner: string, sinceMs: number) => Promise<boolean>;
}

/** A shard → provider map: element s is a place in the list of providers it was made for. */
export type ShardMap = Uint8Array;

/** Policy in force, from the configuration. */
export interface Policy {
  readonly code: LinearCode;
  /** Whether the code takes its shape from the failure domains at hand. */
  readonly fitsCode: boolean;
  /** Objects up to this many bytes are kept as replicas. */
  readonly replicaBelowBytes: number;
  readonly compression: CodecName;
  readonly compressionLevel: number;
  readonly packTargetBytes: number;
  readonly minTolerates: number;
  readonly failureDomain: DomainLevel;
  /** How long a put waits for a provider far behind the others before it settles for surviving fewer losses. */
  readonly stallMs: number;
  /** After how long a small read asks others beside one, where nothing was measured yet that tells who is late. */
  readonly hedgeAfterMs: number;
  /** Requests in flight, all providers together. */
  readonly maxInflight: number;
  /** How much of what a put computes is checked before it is acknowledged. */
  readonly verifyWrites: VerifyWrites;
}

type VerifyWrites = 'off' | 'sample' | 'full';
