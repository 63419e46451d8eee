import type { ExplorerContext } from '../explorer/routes.ts';
import type { ControlContext } from '../http/control.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { ProviderOverrides } from './credit.ts';
import type { ReadReceipts } from './receipts.ts';
import type { SlowReaders } from './slow-readers.ts';
import type { Moves, ObjectStore, Repairs } from './store.ts';

/** What the routes of a gateway work with. */
export interface GatewayContext extends ControlContext, ExplorerContext {
  readonly store: ObjectStore;
  readonly repairs: Repairs;
  readonly moves: Moves;
  readonly overrides: ProviderOverrides | undefined;
  /** What decides who is credited for what a client reads: see `providerForManifest`. */
  readonly reservationKey: (client: string) => string;
  /** Undefined: none are kept. */
  readonly receipts: ReadReceipts | undefined;
  readonly slowReaders: SlowReaders;
  readonly metrics: ServiceMetrics;
  /** How long caches may keep the answer to a name; 0: they ask every time. */
  readonly nameMaxAgeSeconds: number;
  /** Pages among the objects may run scripts: they have an origin of their own. */
  readonly static: boolean;
}
