import { openNodeCatalog } from '../../catalog/node-catalog.ts';
import type { Config } from '../../config/types.ts';
import { NO_LONGER_NEEDED } from '../../core/abort.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { createMemoryEngine } from '../../engine/index.ts';
import type { LineLog } from '../../http/log.ts';
import type { Provider } from '../../providers/provider.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import { catalogSettings } from '../../vault/settings.ts';
import { warningsTo } from './log.ts';

/**
 * Probes what a node serves from for as long as it runs: its metrics and its log show who does not answer. It remembers
 * nothing beyond that, for a node has no state of its own. @returns what ends it.
 */
export async function watchBackends(
  providers: readonly Provider[],
  config: Config,
  telemetry: Pick<Telemetry, 'providers'>,
  log: LineLog,
): Promise<() => Promise<void>> {
  const engine = createMemoryEngine();
  const settings = catalogSettings(config, { log: warningsTo(log), providers: telemetry.providers });
  const catalog = await openNodeCatalog({ ...settings, providers, engine, clock });
  const end = new AbortController();
  const running = catalog.start({ signal: end.signal });
  return async () => {
    end.abort(NO_LONGER_NEEDED);
    await running;
    await engine.close();
  };
}
