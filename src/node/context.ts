import type { Blake3 } from '../core/b3/blake3.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import type { Clock } from '../core/clock.ts';
import type { ControlContext } from '../http/control.ts';
import type { Endpoint } from '../http/route.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { VerifiedReader } from '../verified/reader.ts';
import type { Inflater } from './body/inflate.ts';
import type { NodeLimits } from './limits.ts';
import type { Readiness } from './readiness.ts';
import type { MakeWay } from './rotten.ts';

/** What the routes work with. */
export interface NodeContext extends ControlContext {
  readonly adapter: BlobAdapter;
  readonly reader: VerifiedReader;
  readonly makeWay: MakeWay;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly limits: NodeLimits;
  readonly inflaters: Inflaters;
  /** For bodies as they come. */
  readonly uploadMemory: BufferPool;
  readonly readiness: Readiness;
  readonly version: NodeVersion;
}

export interface Inflaters {
  readonly gzip: Inflater;
  readonly zstd: Inflater;
}

/** What `/version` says. */
export interface NodeVersion {
  readonly name: string;
  readonly version: string;
  readonly adapter: string;
  readonly blake3: string;
  /** Nothing outlives the process. */
  readonly amnesia: boolean;
}

export type NodeEndpoint = Endpoint<NodeContext>;
