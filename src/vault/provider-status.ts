import { abortable } from '../core/abort.ts';
import { recordedTime } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { declareLost } from '../records/lost-providers.ts';
import { placementClasses } from '../records/shard-index.ts';
import type { ComposedVault } from './assemble.ts';
import type { VaultProviders } from './vault.ts';
import { acceptOptions } from './vault-options.ts';

/** What a probe found is believed so long. */
export const PROBE_EVERY_MS = 30_000;

/** Makes sure that it was looked lately who answers; a provider that was away may be back. */
export class RecentProbe {
  readonly #composed: ComposedVault;
  #probed: Promise<unknown> | undefined;
  #probedMs = 0;

  constructor(composed: ComposedVault) {
    this.#composed = composed;
  }

  /** @param minTolerates nobody late is waited for if this many losses are survived without them. */
  async renew(operation: string, minTolerates?: number, signal?: AbortSignal): Promise<void> {
    const { context, lateSince, probeCandidates } = this.#composed;
    const now = context.clock.monotonic();
    const old = this.#probed === undefined || now - this.#probedMs > PROBE_EVERY_MS;
    if (old || lateSince(this.#probedMs)) {
      this.#probedMs = now;
      this.#probed = probeCandidates(minTolerates ?? context.policy.minTolerates);
    }
    await abortable(this.#probed!, signal, operation).catch(() => {
      if (!signal?.aborted) this.#probed = undefined;
    });
  }
}

/** Whether it is configured, or shards are placed there. */
async function isKnown(
  { catalog, context }: ComposedVault,
  id: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (catalog.providers.some((provider) => provider.id === id)) return true;
  for await (const { maps } of placementClasses(context, { signal })) {
    if (maps.some((map) => map.includes(id))) return true;
  }
  return false;
}

const unknownProvider = (id: string): HoldfastError =>
  new HoldfastError('NotFound', `no provider "${id}" is configured, and no shards are placed there`, {
    code: 'unknown_provider',
    hint: 'See `holdfast providers`. What one held that is not configured any more is repaired without this.',
  });

export function vaultProviders(composed: ComposedVault, recent: RecentProbe): VaultProviders {
  const { catalog, config } = composed;
  const kinds = new Map(config.providers.map(({ id, adapter }) => [id, adapter]));
  return {
    async list(options = {}) {
      acceptOptions('providers.list', options);
      await recent.renew('list', undefined, options.signal);
      return catalog.snapshot().map((snapshot) => ({ ...snapshot, kind: kinds.get(snapshot.id)! }));
    },
    async probe(options = {}) {
      acceptOptions('providers.probe', options);
      return composed.probe(options.signal);
    },
    async setLost(id, on, options = {}) {
      acceptOptions('providers.setLost', options);
      const { context } = composed;
      if (on && !(await isKnown(composed, id, options.signal))) throw unknownProvider(id);
      await declareLost(context, id, on ? recordedTime(context.clock) : undefined, options);
      if (kinds.has(id)) await catalog.setMaintenance(id, on, options);
    },
    async setMaintenance(id, on, options = {}) {
      acceptOptions('providers.setMaintenance', options);
      await catalog.setMaintenance(id, on, options);
    },
  };
}
