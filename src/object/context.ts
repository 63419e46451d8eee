import type { ProviderDirectory } from '../catalog/directory.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { Hedge } from '../core/hedge.ts';
import type { DomainLevel } from '../placement/domains.ts';
import type { PipelineMetrics } from '../telemetry/index.ts';
import type { Relocations } from './relocations.ts';

/** What reading and keeping manifest nodes takes. */
export interface ObjectContext {
  readonly blake3: Blake3;
  readonly clock: Clock;
  /** For manifest nodes, of which any copy will do. */
  readonly nodeReads: Hedge;
  readonly directory: ObjectProviders;
  readonly relocations: Relocations;
  readonly metrics: Pick<PipelineMetrics, 'stage'>;
  readonly policy: { readonly failureDomain: DomainLevel };
}

/** The providers, as far as copies of nodes and shards concern them. */
export type ObjectProviders = Pick<
  ProviderDirectory,
  'all' | 'get' | 'isResponsive' | 'respondsToProbe' | 'isLate' | 'late' | 'heard' | 'report'
>;
