import type { Blake3 } from '../core/b3/blake3.ts';
import type { Clock } from '../core/clock.ts';
import type { ControlContext } from '../http/control.ts';
import type { HttpLimits } from '../http/limits.ts';
import type { ServiceMetrics } from '../telemetry/index.ts';
import type { SlowReaders } from './slow-readers.ts';
import type { Moves, ObjectStore, Repairs } from './store.ts';

/** Which fallbacks may write new objects. */
interface FallbackPolicy {
  readonly algorithm: string;
  readonly fallback: string;
  /** The fallback may write now: where it needs the emergency switch, that is set. */
  readonly fallbackAllowed: boolean;
  /** Why not, or null. */
  readonly refused: string | null;
  /** Permitted fallbacks stay off until the operator sets the switch. */
  readonly needsEmergencySwitch: boolean;
  /** The fallback is allowed only because the switch is set. */
  readonly emergency: boolean;
}

export interface StoragePolicy {
  readonly erasure: FallbackPolicy;
  readonly compression: FallbackPolicy;
}

/** What the routes of a gateway work with. */
export interface GatewayContext extends ControlContext {
  readonly store: ObjectStore;
  readonly repairs: Repairs;
  readonly moves: Moves;
  readonly blake3: Blake3;
  readonly policy: StoragePolicy;
  readonly clock: Clock;
  readonly limits: HttpLimits;
  readonly slowReaders: SlowReaders;
  readonly metrics: ServiceMetrics;
  /** How long caches may keep the answer to a name; 0: they ask every time. */
  readonly nameMaxAgeSeconds: number;
  /** Pages among the objects may run scripts: they have an origin of their own. */
  readonly static: boolean;
}
