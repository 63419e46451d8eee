import type { Policy } from '../pipeline/context.ts';
import type { RecordsContext } from '../records/context.ts';

/** What looking after objects at rest takes: their records and nodes, never their bytes. */
export interface UpkeepContext extends RecordsContext {
  readonly policy: Pick<Policy, 'failureDomain' | 'minTolerates'>;
}
