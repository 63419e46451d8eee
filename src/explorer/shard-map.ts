import { createLinearCode } from '../coding/erasure/code.ts';
import type { LinearCode } from '../coding/erasure/linear-code.ts';
import type { AbortOptions } from '../core/abort.ts';
import { abortable } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { type Clock, withDeadline } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { decodeRoot, type RootRecord } from '../manifest/root.ts';
import { DamageLog } from '../object/damage.ts';
import { publicSegments } from '../object/manifest-tree.ts';
import { Certifier } from '../placement/certificate.ts';
import { domainOf, NOT_PLACED } from '../placement/domains.ts';
import type { RecordsContext } from '../records/context.ts';
import { isRemembered, loadRoot } from '../records/manifests.ts';
import { mapsOf } from '../records/shard-index.ts';
import type { Remaining, ShardMap } from './source.ts';

/** Where all shards of an object are: chunks that are placed alike are one map. */
interface Placed {
  readonly record: RootRecord;
  readonly code: LinearCode;
  readonly maps: readonly { readonly providers: readonly string[]; readonly chunks: number }[];
}

/** An object whose chunks are placed in more ways takes too long to search through while somebody waits. */
const MAX_MAPS = 1024;
/** Maps that are told. */
const MAX_SHOWN = 32;
const DEADLINE_MS = 12_000;
/** Whoever takes providers away one by one asks for the same object again and again. */
const MAX_KEPT = 8;
const KEPT_MS = 30_000;

export type ShardMaps = (
  manifest: BlobAddress,
  asked: AbortOptions & {
    /** Providers that are not counted, and why. */
    readonly away: ReadonlyMap<string, string>;
    /** Providers that are taken away too. */
    readonly without: readonly string[];
  },
) => Promise<ShardMap>;

/** Shows where shards are, and what is left without some providers, by the rule of certificates. */
export function createShardMaps(context: RecordsContext): ShardMaps {
  const { clock } = context;
  const kept = new Map<BlobAddress, { readonly placed: Promise<Placed>; readonly untilMs: number }>();
  const placedOf = (manifest: BlobAddress): Promise<Placed> => {
    const known = kept.get(manifest);
    if (known !== undefined && clock.monotonic() < known.untilMs) return known.placed;
    const placed = readPlaces(context, clock, manifest);
    kept.delete(manifest);
    kept.set(manifest, { placed, untilMs: clock.monotonic() + KEPT_MS });
    if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value!);
    placed.catch(() => kept.delete(manifest));
    return placed;
  };
  return async (manifest, { away, without, signal }) => {
    const placed = await abortable(placedOf(manifest), signal, 'the shard map');
    return shardMapOf(context, manifest, placed, { away, without });
  };
}

async function readPlaces(context: RecordsContext, clock: Clock, manifest: BlobAddress): Promise<Placed> {
  return withDeadline(clock, DEADLINE_MS, 'reading where the shards are', async (signal) => {
    if (!(await isRemembered(context, manifest, { signal }))) {
      throw new HoldfastError('NotFound', `this vault has no object ${manifest}`, {
        code: 'manifest_not_found',
      });
    }
    const damage = new DamageLog();
    const record = decodeRoot(await loadRoot(context, manifest, damage, { signal }));
    const maps = new Map<string, { readonly providers: readonly string[]; chunks: number }>();
    for await (const view of publicSegments(context, { manifest, record }, damage, signal)) {
      for (const providers of mapsOf(view)) {
        const key = providers.join('\n');
        const its = maps.get(key) ?? { providers, chunks: 0 };
        its.chunks++;
        maps.set(key, its);
        if (maps.size > MAX_MAPS) throw tooMany();
      }
    }
    const code = createLinearCode(record.code);
    return { record, code, maps: [...maps.values()].sort((a, b) => b.chunks - a.chunks) };
  });
}

const tooMany = (): HoldfastError =>
  new HoldfastError('Unavailable', `its chunks are placed in more than ${MAX_MAPS} ways`, {
    hint: 'Ask `holdfast stat` for its live certificate.',
  });

function shardMapOf(
  context: RecordsContext,
  manifest: BlobAddress,
  placed: Placed,
  asked: { readonly away: ReadonlyMap<string, string>; readonly without: readonly string[] },
): ShardMap {
  const { record, code, maps } = placed;
  const { level } = record.certificate.domains;
  const ids = [...new Set(maps.flatMap(({ providers }) => providers))].sort();
  const unknown = asked.without.find((id) => !ids.includes(id));
  if (unknown !== undefined) {
    throw new HoldfastError('NotFound', 'one of the providers holds no shard of this object', {
      code: 'unknown_provider',
    });
  }
  const placeOf = new Map(ids.map((id, place) => [id, place]));
  const shards = new Array<number>(ids.length).fill(0);
  for (const { providers, chunks } of maps) for (const id of providers) shards[placeOf.get(id)!]! += chunks;
  const gone = new Set(asked.away.keys());
  return {
    manifest,
    code: code.name,
    dataShards: code.dataShards,
    kinds: Array.from({ length: code.totalShards }, (_, shard) => code.kindOf(shard)),
    chunks: maps.reduce((sum, { chunks }) => sum + chunks, 0),
    providers: ids.map((id, place) => {
      const provider = context.directory.get(id);
      const domain = provider === undefined ? id : domainOf(provider, level);
      return { id, domain, shards: shards[place]!, away: asked.away.get(id) };
    }),
    maps: maps.slice(0, MAX_SHOWN).map(({ providers, chunks }) => {
      return { chunks, places: providers.map((id) => placeOf.get(id)!) };
    }),
    moreMaps: Math.max(0, maps.length - MAX_SHOWN),
    certificate: record.certificate,
    now: remainingOf(context, placed, gone),
    after: remainingOf(context, placed, new Set([...gone, ...asked.without])),
  };
}

/** The certificate of what is left, from the places of all chunks; and the chunks that are left to nobody. */
function remainingOf(
  { directory }: RecordsContext,
  { record, code, maps }: Placed,
  gone: ReadonlySet<string>,
): Remaining {
  const providers = directory.all();
  const places = new Map(providers.map(({ id }, place) => [id, place]));
  for (const id of gone) places.delete(id);
  const certifier = new Certifier({ code, providers, failureDomain: record.certificate.domains.level });
  let lostChunks = 0;
  for (const { providers: map, chunks } of maps) {
    certifier.add(map.map((id) => places.get(id) ?? NOT_PLACED));
    const left = map.flatMap((id, shard) => (places.has(id) ? [shard] : []));
    if (!code.decodable(left)) lostChunks += chunks;
  }
  return { certificate: certifier.certificate(), lostChunks };
}
