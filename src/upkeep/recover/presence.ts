import { abortable, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError, isHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import type { Stragglers } from '../../core/stragglers.ts';
import type { Precondition } from '../../engine/engine.ts';
import { openRoot } from '../../manifest/root.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { DamageLog } from '../../object/damage.ts';
import { fetchNode } from '../../object/fetch-node.ts';
import { type PublicManifest, putSegments } from '../../object/manifest-tree.ts';
import { allPlaces, type SegmentView } from '../../object/places.ts';
import { blobKey, relocate } from '../../object/relocations.ts';
import { localRoot, type Usage } from '../../records/manifests.ts';
import { addPacks } from '../../records/usage.ts';
import type { UpkeepContext } from '../context.ts';
import type { PackState, ToldMoves } from './told-moves.ts';

/**
 * `readable`: enough shards are there, as far as their providers say. `lost`: too few, whatever those have that were not
 * heard. `unconfirmed`: it depends on them.
 */
export type Presence = 'readable' | 'lost' | 'unconfirmed';

export interface ObjectPresence {
  readonly presence: Presence;
  readonly root?: Uint8Array;
  /** What its shards take up; undefined when not all of its nodes could be had. */
  readonly usage?: Usage;
}

/** Whether objects can be had again: all nodes are read, and of every pack it is asked whether it is there whole. */
export class PresenceCheck {
  readonly #context: UpkeepContext;
  readonly #laggards: Stragglers;
  readonly #signal: AbortSignal | undefined;
  /** Providers that did not answer; each is asked no more. */
  readonly #silent: Map<string, string>;

  /** @param silent is added to. */
  constructor(
    context: UpkeepContext,
    silent: Map<string, string>,
    laggards: Stragglers,
    signal: AbortSignal | undefined,
  ) {
    const { directory } = context;
    const asked = { all: () => directory.all().filter(({ id }) => !silent.has(id)) };
    this.#context = { ...context, directory: { ...directory, ...asked } };
    this.#silent = silent;
    this.#laggards = laggards;
    this.#signal = signal;
  }

  /** @param told learns where shards were moved to, which is recorded if the object stands by `holds` still. */
  async object(
    manifest: BlobAddress,
    told?: ToldMoves,
    holds: readonly Precondition[] = [],
  ): Promise<ObjectPresence> {
    const damage = new DamageLog();
    try {
      const root = await this.#root(manifest, damage);
      const { record } = openRoot(root, this.#context.keys.wrap);
      const learning = told && { told, holds };
      return { ...(await this.#segments({ manifest, record }, damage, learning)), root };
    } catch (error) {
      throwIfAborted(this.#signal, 'recover');
      return { presence: this.#whenMissing(error) };
    }
  }

  /** What the providers have counts; the copy in this state only where they have none. */
  async #root(manifest: BlobAddress, damage: DamageLog): Promise<Uint8Array> {
    return fetchNode(this.#context, manifest, damage, this.#signal).catch(async (error: unknown) => {
      const local = await localRoot(this.#context, manifest, { signal: this.#signal });
      if (local === undefined) throw error;
      return local;
    });
  }

  async #segments(
    object: PublicManifest,
    damage: DamageLog,
    learning: { readonly told: ToldMoves; readonly holds: readonly Precondition[] } | undefined,
  ): Promise<Omit<ObjectPresence, 'root'>> {
    let worst: Presence = 'readable';
    const usage = new Map<string, number>();
    const relocationsOf = await this.#context.relocations.open({ signal: this.#signal, fresh: true });
    const { manifest, record } = object;
    const { level } = record.certificate.domains;
    for await (const put of putSegments(this.#context, object, damage, this.#signal)) {
      const stateOf = this.#packStates();
      const view =
        learning === undefined
          ? relocate(put.view, (await relocationsOf?.(put.segment)) ?? [])
          : await learning.told.learn({ manifest, ...put, level, holds: learning.holds, stateOf });
      addPacks(usage, view);
      const presence = await this.#segment(view, stateOf);
      if (presence === 'lost') return { presence };
      if (presence === 'unconfirmed') worst = presence;
    }
    return { presence: worst, usage };
  }

  async #segment(view: SegmentView, stateOf: (pack: PackRecord) => Promise<PackState>): Promise<Presence> {
    const { code, shardLengths } = view;
    const rows = new Set<string>();
    let worst: Presence = 'readable';
    for (let chunk = 0; chunk < shardLengths.length; chunk++) {
      const row = await Promise.all(
        Array.from({ length: code.totalShards }, async (_, shard) => {
          const places = allPlaces(view, chunk * code.totalShards + shard);
          return bestOf(await Promise.all(places.map(({ pack }) => stateOf(pack))));
        }),
      );
      const known = rows.size;
      if (rows.add(row.join()).size === known) continue;
      const shards = (allowed: readonly PackState[]): number[] =>
        Array.from(row.keys()).filter((shard) => allowed.includes(row[shard]!));
      if (!code.decodable(shards(['there', 'unknown']))) return 'lost';
      if (!code.decodable(shards(['there']))) worst = 'unconfirmed';
    }
    return worst;
  }

  /** Asks for each pack once. */
  #packStates(): (pack: PackRecord) => Promise<PackState> {
    const asked = new Map<string, Promise<PackState>>();
    return (pack) => entryOf(asked, `${blobKey(pack)}/${pack.length}`, () => this.#pack(pack));
  }

  async #pack({ provider: id, address, length }: PackRecord): Promise<PackState> {
    const provider = this.#context.directory.get(id);
    if (provider === undefined || this.#silent.has(id)) return 'unknown';
    const { clock, directory } = this.#context;
    const late = (): void => {
      this.#silent.set(id, 'it did not answer while others did');
      directory.late(id);
    };
    const turn = this.#laggards.begin(this.#signal, 'recover', late);
    const started = clock.monotonic();
    try {
      const { size } = await abortable(provider.adapter.stat(address, { signal: turn.signal }), turn.signal);
      turn.progressed(clock.monotonic() - started);
      return size === length ? 'there' : 'missing';
    } catch (error) {
      throwIfAborted(this.#signal, 'recover');
      if (isHoldfastError(error, 'NotFound')) turn.progressed(clock.monotonic() - started);
      if (isHoldfastError(error, 'NotFound')) return 'missing';
      if (!turn.late) this.#silent.set(id, asHoldfastError(error).message);
      return 'unknown';
    } finally {
      turn.end();
    }
  }

  /** A node could not be had: for good only if all were asked, and each has said so. */
  #whenMissing(error: unknown): Presence {
    const { kind } = asHoldfastError(error);
    const certain = kind === 'NotFound' || kind === 'Corrupt' || kind === 'PermissionDenied';
    return certain && this.#silent.size === 0 ? 'lost' : 'unconfirmed';
  }
}

const bestOf = (states: readonly PackState[]): PackState =>
  states.includes('there') ? 'there' : states.includes('unknown') ? 'unknown' : 'missing';
