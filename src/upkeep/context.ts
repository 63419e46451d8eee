import type { Policy, TransferContext } from '../pipeline/context.ts';
import type { RecordsContext } from '../records/context.ts';
import type { LeasingContext } from '../records/repair-leases.ts';

/** What looking after objects at rest takes: their records and nodes, never their bytes. */
export interface UpkeepContext extends RecordsContext {
  readonly policy: Pick<Policy, 'failureDomain' | 'minTolerates'>;
}

/** What moving shards takes: nothing that needs a key. */
export type MovingContext = TransferContext & LeasingContext;
