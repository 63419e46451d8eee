import type { AbortOptions } from '../../core/abort.ts';
import type { RecordsContext } from '../../records/context.ts';
import { declaredLost } from '../../records/lost-providers.ts';
import { placementClasses } from '../../records/shard-index.ts';

/** Why a provider counts as gone for good. */
export type WhyLost = 'declared' | 'not_configured' | 'silent';

/**
 * The providers that are gone for good, and why: the operator said so; shards are placed there, and the configuration does not
 * name it any more; or it has not answered for so long.
 * @param silentMs how long a provider has not answered; 0: it does, or it was never asked.
 * @param afterMs 0: none is ever given up for its silence.
 */
export async function lostProviders(
  context: RecordsContext,
  silentMs: (id: string) => number,
  afterMs: number,
  options: AbortOptions = {},
): Promise<Map<string, WhyLost>> {
  const lost = new Map<string, WhyLost>();
  for (const id of (await declaredLost(context, options)).keys()) lost.set(id, 'declared');
  const configured = new Set(context.directory.all().map(({ id }) => id));
  for await (const { maps } of placementClasses(context, options)) {
    for (const id of maps.flat()) if (!configured.has(id) && !lost.has(id)) lost.set(id, 'not_configured');
  }
  for (const id of configured) {
    if (afterMs > 0 && silentMs(id) >= afterMs && !lost.has(id)) lost.set(id, 'silent');
  }
  return lost;
}
