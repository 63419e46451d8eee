import {
  type CatalogEvent,
  type CatalogOptions,
  type CatalogPolicy,
  configuredCredits,
  DEFAULT_CATALOG_POLICY,
  type NodeCatalog,
  openNodeCatalog,
} from '../../src/catalog/index.ts';
import { abortable } from '../../src/core/abort.ts';
import type { Clock } from '../../src/core/clock.ts';
import { createMemoryEngine, type Engine } from '../../src/engine/index.ts';
import { DEFAULT_LADDER } from '../../src/profiles/index.ts';
import type { BlobAdapter, ProbeResult } from '../../src/providers/adapter.ts';
import type { Provider } from '../../src/providers/provider.ts';

/** A clock that moves when told to. Sleepers wake when it passes their time. */
export class HandClock implements Clock {
  ms = 1_000_000;
  jump = 0;
  readonly #sleepers = new Set<{ readonly until: number; wake(): void }>();

  now(): number {
    return this.ms + this.jump;
  }
  monotonic(): number {
    return this.ms;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const asleep = new Promise<void>((wake) => {
      this.#sleepers.add({ until: this.ms + ms, wake });
    });
    return abortable(asleep, signal, 'sleep');
  }
  /** Sleeps that have been started and not woken. */
  get asleep(): number {
    return this.#sleepers.size;
  }
  advance(ms: number): void {
    this.ms += ms;
    for (const sleeper of this.#sleepers) {
      if (sleeper.until > this.ms) continue;
      this.#sleepers.delete(sleeper);
      sleeper.wake();
    }
  }
}

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
  readonly clock: HandClock;
  readonly engine: Engine;
  readonly events: CatalogEvent[];
  readonly policy: CatalogPolicy;
  open(nodes: readonly Probed[], more?: Partial<CatalogOptions>): Promise<NodeCatalog>;
}

export function newWorld(policy: Partial<CatalogPolicy> = {}): World {
  const clock = new HandClock();
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
