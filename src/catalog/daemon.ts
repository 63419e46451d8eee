import { manyMayListen } from '../core/abort.ts';
import { asHoldfastError } from '../core/errors.ts';
import type { CatalogDaemon, CatalogOptions, NodeCatalog } from './catalog.ts';

type Running = Pick<NodeCatalog, 'probeAll' | 'flush' | 'refresh'>;
type Means = Pick<CatalogOptions, 'clock' | 'engine' | 'policy' | 'log'>;

/** The catalog's own work, until the signal fires: what fails is told and tried again in the next round. */
export async function runDaemon(
  catalog: Running,
  { clock, engine, policy, log }: Means,
  { signal, firstAfterMs = 0, onRound }: CatalogDaemon,
): Promise<void> {
  const { intervalMs, refreshMs } = policy.probe;
  // All providers at once.
  manyMayListen(signal);
  const sleep = (ms: number): Promise<void> => clock.sleep(ms, signal, { idle: true }).catch(() => {});
  let probeAt = clock.monotonic() + firstAfterMs;
  let seen: string | undefined;
  // What is stored was read when the catalog was opened.
  if (firstAfterMs > 0) await sleep(Math.min(refreshMs, firstAfterMs));
  while (!signal.aborted) {
    try {
      const due = clock.monotonic() >= probeAt;
      if (due) {
        probeAt = clock.monotonic() + intervalMs;
        await catalog.probeAll({ signal });
        await catalog.flush({ signal });
      }
      if (due || seen === undefined || (await engine.revision()) !== seen) {
        await catalog.refresh({ signal });
        // Taken at once: while this process has the engine, no other changes it.
        seen = await engine.revision();
      }
      if (due) onRound?.();
    } catch (error) {
      if (signal.aborted) return;
      log?.({ type: 'round_failed', error: asHoldfastError(error) });
    }
    await sleep(Math.min(refreshMs, intervalMs));
  }
}
