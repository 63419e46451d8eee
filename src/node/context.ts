import type { Blake3 } from '../core/b3/blake3.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import type { Clock } from '../core/clock.ts';
import type { ControlContext } from '../http/control.ts';
import type { Endpoint } from '../http/handle.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '../http/limits.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { VerifiedReader } from '../verified/reader.ts';
import type { Inflater } from './inflate.ts';
import type { Readiness } from './readiness.ts';
import type { Rot } from './rot.ts';

/** What the routes of a node work with. */
export interface NodeContext extends ControlContext {
  readonly adapter: BlobAdapter;
  readonly reader: VerifiedReader;
  readonly rot: Rot;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly limits: NodeLimits;
  readonly inflaters: Inflaters;
  /** Memory for bodies as they come. */
  readonly uploadMemory: BufferPool;
  readonly readiness: Readiness;
  readonly version: NodeVersion;
}

export interface Inflaters {
  readonly gzip: Inflater;
  readonly zstd: Inflater;
}

/** What `/version` says. */
interface NodeVersion {
  readonly name: string;
  readonly version: string;
  readonly adapter: string;
  readonly blake3: string;
  /** Nothing outlives the process. */
  readonly amnesia: boolean;
}

export type NodeEndpoint = Endpoint<NodeContext>;

const KIB = 1024;
const MIB = 1024 * KIB;

/** Every bound of a node, in bytes and milliseconds. */
export interface NodeLimits extends HttpLimits {
  /** Longest body of a client with a token or on a private plane; inflated, if it is compressed. */
  readonly maxBodyBytes: number;
  /** Longest body of anyone else. */
  readonly maxForeignBodyBytes: number;
  /** Memory for whole blobs, and the longest blob that is kept there. */
  readonly hotBytes: number;
  readonly hotBlobBytes: number;
  /** Memory for windows of long blobs on their way out. */
  readonly windowBytes: number;
  /** Memory for bodies as they come, and the longest body that is taken whole. Others pass through in batches. */
  readonly uploadBytes: number;
  readonly uploadBodyBytes: number;
  /** Memory for the hashes of verified blobs. */
  readonly proofBytes: number;
  /** With less free space than this the node takes no blob. */
  readonly minFreeBytes: number;
}

export const DEFAULT_LIMITS: NodeLimits = {
  ...DEFAULT_HTTP_LIMITS,
  maxBodyBytes: 64 * MIB,
  maxForeignBodyBytes: MIB,
  hotBytes: 64 * MIB,
  hotBlobBytes: 16 * MIB,
  windowBytes: 32 * MIB,
  uploadBytes: 64 * MIB,
  uploadBodyBytes: 2 * MIB,
  proofBytes: 32 * MIB,
  minFreeBytes: 32 * MIB,
};
