import type { CatalogEvent, CatalogOptions, NodeCatalog } from '../../src/catalog/catalog.ts';
import { type CatalogPolicy, DEFAULT_CATALOG_POLICY } from '../../src/catalog/catalog.ts';
import { openNodeCatalog } from '../../src/catalog/node-catalog.ts';
import { configuredCredits } from '../../src/catalog/quota.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { DEFAULT_LADDER } from '../../src/profiles/ladder.ts';
import type { BlobAdapter, ProbeResult } from '../../src/providers/adapter.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { FakeClock } from '../helpers/fake-clock.ts';

type Probe = (options: { readonly signal?: AbortSignal | undefined }) => Promise<ProbeResult>;

/** A provider of which only the probe is ever used, answered as the test says. */
export class Probed {
  readonly provider: Provider;
  probe: Probe;
  probes = 0;

  constructor(id: string, rttMs = 10, more: Partial<Provider> = {}) {
    this.probe = async () => ({ rttMs });
    const adapter = {
      adapterId: id,
      probe: (options: { readonly signal?: AbortSignal }) => {
        this.probes++;
        return this.probe(options);
      },
    } as unknown as BlobAdapter;
    const domain = { provider: id, account: id, region: id };
    this.provider = { id, adapter, domain, price: 1, maxConcurrency: 4, ...more };
  }

  answers(rttMs: number, freeBytes?: number): void {
    this.probe = async () => ({ rttMs, ...(freeBytes === undefined ? {} : { freeBytes }) });
  }
  fails(): void {
    this.probe = async () => {
      throw new Error('no answer');
    };
  }
}

export interface World {
  readonly clock: FakeClock;
  readonly engine: Engine;
  readonly events: CatalogEvent[];
  readonly policy: CatalogPolicy;
  open(nodes: readonly Probed[], more?: Partial<CatalogOptions>): Promise<NodeCatalog>;
}

export function newWorld(policy: Partial<CatalogPolicy> = {}): World {
  const clock = new FakeClock({ ms: 1_000_000 });
  const engine = createMemoryEngine();
  const events: CatalogEvent[] = [];
  const whole = { ...DEFAULT_CATALOG_POLICY, ...policy };
  return {
    clock,
    engine,
    events,
    policy: whole,
    open: (nodes, more = {}) =>
      openNodeCatalog({
        providers: nodes.map(({ provider }) => provider),
        engine,
        clock,
        ladder: DEFAULT_LADDER,
        policy: whole,
        settlement: configuredCredits,
        log: (event) => events.push(event),
        ...more,
      }),
  };
}
