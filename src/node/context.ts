import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { BlobAdapter } from '../providers/adapter.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { Admission, Load } from './admission/admission.ts';
import type { Scope } from './auth/principal.ts';
import type { Inflater } from './body/inflate.ts';
import type { Exchange } from './exchange.ts';
import type { NodeLimits } from './limits.ts';
import type { Readiness } from './readiness.ts';
import type { VerifiedReader } from './verified/reader.ts';

/** What the routes work with. */
export interface NodeContext {
  readonly adapter: BlobAdapter;
  readonly reader: VerifiedReader;
  readonly blake3: Blake3;
  readonly clock: Clock;
  readonly limits: NodeLimits;
  readonly metrics: ServiceMetrics;
  readonly exposition: Exposition;
  readonly inflaters: Inflaters;
  readonly admission: Admission;
  readonly readiness: Readiness;
  readonly version: NodeVersion;
}

/** The text of `/metrics`. */
export interface Exposition {
  readonly contentType: string;
  renderMetrics(): Promise<string>;
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

/** What can be done at a path. `params` are the parts of the path that vary. */
export interface Route {
  readonly pattern: string;
  match(path: string): readonly string[] | undefined;
  readonly methods: Readonly<Record<string, Endpoint>>;
}

export interface Endpoint {
  /** Undefined: open to all. */
  readonly scope: Scope | undefined;
  readonly load: Load;
  /** Whether the request may have a body. */
  readonly takesBody?: boolean;
  run(context: NodeContext, exchange: Exchange, params: readonly string[]): Promise<void>;
}

/** A path with nothing variable. */
export const exactly =
  (pattern: string): Route['match'] =>
  (path) =>
    path === pattern ? [] : undefined;

/** One segment after `prefix`. */
export const oneAfter =
  (prefix: string): Route['match'] =>
  (path) => {
    if (!path.startsWith(prefix)) return undefined;
    const rest = path.slice(prefix.length);
    return rest === '' || rest.includes('/') ? undefined : [rest];
  };
