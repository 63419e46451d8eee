import type PQueue from 'p-queue';
import type { OpenRoot } from '../../manifest/root.ts';
import type { DamageLog } from '../../object/damage.ts';
import type { VaultContext } from '../context.ts';

/** What one read shares between its windows. */
export interface ReadState {
  readonly context: VaultContext;
  readonly root: OpenRoot;
  readonly damage: DamageLog;
  readonly queue: PQueue;
  readonly signal: AbortSignal;
  /** Providers that did not answer; the rest of the read does without them. */
  readonly avoid: Set<string>;
  /** Shards beside data that a chunk is given room for from the start: as many as earlier ones came to need. */
  spares: number;
}
