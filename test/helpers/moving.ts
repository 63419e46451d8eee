import { createLinearCode } from '../../src/coding/erasure/code.ts';
import type { BlobAddress } from '../../src/core/address.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { RelocatedPack } from '../../src/manifest/relocation.ts';
import { decodeRoot, type RootRecord } from '../../src/manifest/root.ts';
import type { PackRecord } from '../../src/manifest/segment.ts';
import { DamageLog } from '../../src/object/damage.ts';
import { fetchNode } from '../../src/object/fetch-node.ts';
import { publicTree, walkManifest } from '../../src/object/manifest-tree.ts';
import { locate, type SegmentView, viewSegment } from '../../src/object/places.ts';
import { relocate } from '../../src/object/relocations.ts';
import type { VaultContext } from '../../src/pipeline/context.ts';
import { Certifier } from '../../src/placement/certificate.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { loadRoot } from '../../src/records/manifests.ts';
import type { Intent, PackToStore } from '../../src/records/moves.ts';

export interface StoredSegment {
  readonly manifest: BlobAddress;
  readonly segment: BlobAddress;
  readonly record: RootRecord;
  /** Its shards where they are now. */
  readonly view: SegmentView;
}

/** The segments of an object as they are now. It takes no key. */
export async function segmentsNow(context: VaultContext, manifest: BlobAddress): Promise<StoredSegment[]> {
  const damage = new DamageLog();
  const record = decodeRoot(await loadRoot(context, manifest, damage));
  const tree = publicTree(record, (address) => fetchNode(context, address, damage));
  const relocationsOf = await context.relocations.open({ fresh: true });
  const found: StoredSegment[] = [];
  for await (const { address, segment } of walkManifest(tree)) {
    if (segment === undefined) continue;
    const key = address ?? manifest;
    const base = viewSegment(segment, createLinearCode(record.code));
    const view = relocate(base, (await relocationsOf?.(key)) ?? []);
    found.push({ manifest, segment: key, record, view });
  }
  return found;
}

/** Losses that an object survives by where its shards ought to be, whoever is slow at the moment. */
export async function toleratesNow(context: VaultContext, manifest: BlobAddress): Promise<number> {
  const providers = context.directory.all();
  let certifier: Certifier | undefined;
  for (const segment of await segmentsNow(context, manifest)) {
    const { view, record } = segment;
    const { code } = view;
    certifier ??= new Certifier({ code, providers, failureDomain: record.certificate.domains.level });
    for (let from = 0; from < view.record.places.length; from += code.totalShards)
      certifier.add(
        Array.from({ length: code.totalShards }, (_, shard) =>
          providers.findIndex(({ id }) => id === placeNow(segment, from + shard).provider),
        ),
      );
  }
  return certifier!.certificate().tolerates;
}

/** The pack that a provider ought to have, and the shards that ought to be in it. */
export function packAt({ view }: StoredSegment, provider: string): RelocatedPack {
  const { totalShards } = view.code;
  const places = [...view.record.places.keys()].map((at) =>
    locate(view, Math.floor(at / totalShards), at % totalShards),
  );
  const pack = places.find((place) => place.pack.provider === provider)!.pack;
  return { ...pack, shards: [...places.keys()].filter((at) => places[at]!.pack === pack) };
}

/** Copies a pack to where it is intended to be. */
export async function copyOver(context: VaultContext, from: string, { pack }: Intent): Promise<void> {
  const bytes = await context.directory.get(from)!.adapter.fetch(pack.address);
  await context.directory.get(pack.provider)!.adapter.store(pack.address, [bytes]);
}

export const toStore = ({ address, length }: RelocatedPack, provider: string): PackToStore => ({
  provider,
  address,
  length,
});

/** Of `moves`, `manifest_usage` or `trash`. */
interface Row {
  readonly state: string;
  readonly bytes: unknown;
}

/** Rows of a table, by key. */
export async function rowsOf({ engine }: VaultContext, table: string): Promise<Record<string, Row>> {
  const rows: Record<string, Row> = {};
  for await (const [key, value] of engine.table(table).entries()) {
    rows[key] = JSON.parse(new TextDecoder().decode(value)) as Row;
  }
  return rows;
}

export async function keysIn({ engine }: VaultContext, table: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const [key] of engine.table(table).entries()) keys.push(key);
  return keys;
}

/** How a provider behaves: as it should; or its answers never come, are errors, or are lies. */
export type Conduct = 'good' | 'refuses stores' | 'hangs on stores' | 'drops' | 'garbles';

/** Calls that a provider was sent, and what it does with them. */
export interface Watched {
  readonly conduct: Record<string, Conduct>;
  readonly calls: string[];
  /** Called before each; what it throws is the answer. */
  before: (call: string, provider: string) => Promise<void> | void;
}

/** Providers under watch, for `testVault`'s `wrap`. */
export function watched(): Watched & { readonly wrap: (adapter: BlobAdapter) => BlobAdapter } {
  const state: Watched = { conduct: {}, calls: [], before: () => {} };
  const wrap = (adapter: BlobAdapter): BlobAdapter => {
    const id = adapter.adapterId;
    const told = async (call: string, address: string): Promise<Conduct> => {
      state.calls.push(`${call} ${id} ${address}`);
      await state.before(call, id);
      return state.conduct[id] ?? 'good';
    };
    return {
      ...adapter,
      async fetch(address, options) {
        await told('fetch', address);
        return adapter.fetch(address, options);
      },
      async fetchRange(address, offset, into, options) {
        await told('fetchRange', address);
        return adapter.fetchRange(address, offset, into, options);
      },
      async store(address, parts, options) {
        const how = await told(options?.replace ? 'replace' : 'store', address);
        if (how === 'refuses stores') throw new HoldfastError('PermissionDenied', 'no, thank you');
        if (how === 'hangs on stores') {
          await new Promise((_, reject) => {
            options?.signal?.addEventListener('abort', () => reject(options.signal!.reason));
          });
        }
        if (how === 'drops') return { existed: false };
        const garbled = parts.map((part) => part.map((byte) => byte ^ 1));
        return adapter.store(address, how === 'garbles' ? garbled : parts, options);
      },
      async delete(address, options) {
        await told('delete', address);
        return adapter.delete(address, options);
      },
    };
  };
  // The object itself is what tests change.
  return Object.assign(state, { wrap });
}

export const placeNow = ({ view }: Pick<StoredSegment, 'view'>, at: number): PackRecord =>
  locate(view, Math.floor(at / view.code.totalShards), at % view.code.totalShards).pack;

/** Shards that ought to be at a provider. */
export const shardsAt = (segment: StoredSegment, provider: string): number[] =>
  [...segment.view.record.places.keys()].filter((at) => placeNow(segment, at).provider === provider);
