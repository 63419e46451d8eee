import type { Blake3 } from '../core/b3/blake3.ts';
import type { ExplorerContext } from '../explorer/routes.ts';
import type { ControlContext } from '../http/control.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { SlowReaders } from './slow-readers.ts';
import type { Moves, ObjectStore, Repairs } from './store.ts';

/** What the routes of a gateway work with. */
export interface GatewayContext extends ControlContext, ExplorerContext {
  readonly store: ObjectStore;
  readonly repairs: Repairs;
  readonly moves: Moves;
  readonly blake3: Blake3;
  readonly slowReaders: SlowReaders;
  readonly metrics: ServiceMetrics;
  /** How long caches may keep the answer to a name; 0: they ask every time. */
  readonly nameMaxAgeSeconds: number;
  /** Pages among the objects may run scripts: they have an origin of their own. */
  readonly static: boolean;
}
