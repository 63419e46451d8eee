import { withDeadline } from '../core/abort.ts';
import type { Clock } from '../core/clock.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { ReadinessReport } from '../http/control.ts';
import type { BlobAdapter } from '../providers/adapter.ts';

export interface Readiness {
  report(): Promise<ReadinessReport>;
  /** Free space as last seen, undefined where the adapter does not tell. */
  freeBytes(): number | undefined;
}

export interface ReadinessOptions {
  readonly adapter: BlobAdapter;
  readonly clock: Clock;
  readonly minFreeBytes: number;
  takesWrites(): boolean;
  draining(): boolean;
}

/** A probe writes, so many who ask share one. */
const PROBE_AGE_MS = 1_000;
const PROBE_MS = 2_000;

interface Probed {
  readonly atMs: number;
  readonly freeBytes: number | undefined;
  readonly failure: 'unreachable' | 'degraded' | 'full' | undefined;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { adapter, clock, minFreeBytes } = options;
  let last: Probed | undefined;
  let probing: Promise<Probed> | undefined;

  const probe = async (): Promise<Probed> => {
    const atMs = clock.monotonic();
    try {
      const { freeBytes } = await withDeadline(PROBE_MS, 'probe', (signal) => adapter.probe({ signal }));
      return { atMs, freeBytes, failure: undefined };
    } catch (error) {
      if (isHoldfastError(error, 'QuotaExceeded')) return { atMs, freeBytes: 0, failure: 'full' };
      const degraded = isHoldfastError(error) && error.code === 'backend_down';
      return { atMs, freeBytes: undefined, failure: degraded ? 'degraded' : 'unreachable' };
    }
  };
  const recent = (): Promise<Probed> => {
    if (last !== undefined && clock.monotonic() - last.atMs < PROBE_AGE_MS) return Promise.resolve(last);
    probing ??= probe().then((result) => {
      last = result;
      probing = undefined;
      return result;
    });
    return probing;
  };

  return {
    freeBytes: () => last?.freeBytes,
    async report() {
      const { failure, freeBytes } = await recent();
      const reasons: string[] = [];
      if (options.draining()) reasons.push('draining');
      if (failure === 'unreachable') reasons.push('storage_unreachable');
      const reads = reasons.length === 0;
      if (failure === 'degraded') reasons.push('backend_down');
      if (failure === 'full' || (freeBytes !== undefined && freeBytes < minFreeBytes))
        reasons.push('storage_full');
      if (!options.takesWrites()) reasons.push('overloaded');
      return { reads, writes: reasons.length === 0, reasons };
    },
  };
}
