import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { entryOf } from '../../core/maps.ts';
import { standings } from '../../core/standing.ts';
import { type DomainLevel, NOT_PLACED, type PlacementProvider } from '../../placement/domains.ts';
import { reassign } from '../../placement/reassign.ts';
import { type Placement, rotate, solvePlacement } from '../../placement/solve.ts';
import type { Provider } from '../../providers/provider.ts';
import type { ShardMap } from '../context.ts';

export interface PlacementsSetup {
  readonly code: LinearCode;
  readonly failureDomain: DomainLevel;
  /** Providers eligible when the put began; shard maps index this list. */
  readonly placed: readonly Provider[];
  /** How good each is; the higher, the better. */
  readonly scores: readonly number[];
  /** Where the rotation starts, so that small objects even out too. */
  readonly turn: number;
}

/** Where the chunks of one put go, and where they went. */
export class Placements {
  readonly #setup: PlacementsSetup;
  readonly #excluded: Set<string> = new Set();
  readonly #maps: Map<string, ShardMap> = new Map();
  /** Found when it is first needed, and again after a provider was excluded. */
  #placement: Placement | undefined;
  #keyProviders: readonly Provider[];

  constructor(setup: PlacementsSetup) {
    this.#setup = setup;
    this.#keyProviders = best(setup.placed, setup.scores);
  }

  get placed(): readonly Provider[] {
    return this.#setup.placed;
  }

  /** Providers that have not been excluded. */
  get usable(): readonly Provider[] {
    return this.placed.filter(({ id }) => !this.#excluded.has(id));
  }

  /** Later chunks avoid the provider. */
  exclude(id: string): void {
    if (this.#excluded.has(id)) return;
    this.#excluded.add(id);
    const left = [...this.placed.keys()].filter((i) => !this.#excluded.has(this.placed[i]!.id));
    if (left.length === 0) return;
    this.#placement = undefined;
    this.#keyProviders = best(
      left.map((i) => this.placed[i]!),
      left.map((i) => this.#setup.scores[i]!),
    );
  }

  /** The provider that a chunk's key is made for and whose profile names the chunk's length. The best take turns. */
  keyProviderOf(chunk: number): Provider {
    return this.#keyProviders[chunk % this.#keyProviders.length]!;
  }

  /** Where a chunk's shards should go now. */
  mapOf(chunk: number): ShardMap {
    const { code, failureDomain, turn } = this.#setup;
    this.#placement ??= solvePlacement({ code, providers: this.#candidates(), failureDomain });
    return rotate(this.#placement, turn + chunk);
  }

  /** Losses that a chunk placed now would survive, with or without a provider; −1 where there is nobody. */
  tolerates(without?: string): number {
    const { code, failureDomain } = this.#setup;
    // Scores move shards and leave what may vanish as it is.
    const providers = this.placed.map(({ id, domain }) => ({
      id,
      domain,
      eligible: id !== without && !this.#excluded.has(id),
    }));
    if (!providers.some(({ eligible }) => eligible)) return -1;
    return solvePlacement({ code, providers, failureDomain }).certificate.tolerates;
  }

  /**
   * Finds shards without a home another one, where their chunk then survives most.
   * @param maps of some chunks, one after the other.
   * @param unplaced shards, as `place in maps × totalShards + shard`.
   * @returns the maps as they are then; undefined when nobody is left to take a shard.
   */
  reassigned(maps: readonly ShardMap[], unplaced: readonly number[]): ShardMap[] | undefined {
    const { code, failureDomain } = this.#setup;
    const providers = this.#candidates();
    const byChunk = new Map<number, number[]>();
    for (const at of unplaced) {
      entryOf(byChunk, Math.floor(at / code.totalShards), () => []).push(at % code.totalShards);
    }
    // Chunks repeat each other's maps as the rotation comes round.
    const solved = new Map<string, ShardMap>();
    const moved = [...maps];
    for (const [chunk, move] of byChunk) {
      const places = maps[chunk]!;
      const key = `${places.join()}|${move.join()}`;
      const map = solved.get(key) ?? reassign({ code, providers, failureDomain, places, move });
      if (map.includes(NOT_PLACED)) return undefined;
      solved.set(key, map);
      moved[chunk] = map;
    }
    return moved;
  }

  /** Remembers how a chunk ended up, for the certificate. */
  record(map: ShardMap): void {
    const key = map.join();
    if (!this.#maps.has(key)) this.#maps.set(key, map);
  }

  /** The maps that were recorded, each once. */
  get recorded(): readonly ShardMap[] {
    return [...this.#maps.values()];
  }

  /** `placed` as the solver sees it. */
  #candidates(): readonly PlacementProvider[] {
    return this.placed.map(({ id, domain }, i) => ({
      id,
      domain,
      score: this.#setup.scores[i]!,
      eligible: !this.#excluded.has(id),
    }));
  }
}

/** Those that nobody is far ahead of. */
export function best(providers: readonly Provider[], scores: readonly number[]): readonly Provider[] {
  const standing = standings(scores);
  return providers.filter((_, i) => standing[i] === 0);
}
