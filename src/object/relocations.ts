import type { AbortOptions } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { entryOf } from '../core/maps.ts';
import {
  MAX_RELOCATED_PACKS,
  MAX_RELOCATIONS,
  type RelocatedPack,
  type RelocationRecord,
} from '../manifest/relocation.ts';
import type { PackRecord, SegmentRecord } from '../manifest/segment.ts';
import { type Place, recordedPlace, type SegmentView } from './places.ts';

/** A relocation, and whose word it is. */
export interface Relocation extends RelocationRecord {
  /** The vault's own engine has it: it counts for certificates and deletions. False: a hint, worth a read and no more. */
  readonly recorded: boolean;
}

/** Where shards were moved to, as far as the vault knows. See docs/format/relocations.md. */
export interface Relocations {
  /**
   * Asks once for a whole object whether anything was moved at all, so that reading costs no more where nothing was.
   * @returns undefined when nothing was moved.
   */
  open(options?: RelocationsOptions): Promise<RelocationsOf | undefined>;
  /** What the providers say of a segment, as hints: those that the vault signed first. For who finds its shards nowhere else. */
  told(segment: BlobAddress, options?: AbortOptions): Promise<readonly Relocation[]>;
}

export interface RelocationsOptions extends AbortOptions {
  /** Without it, that nothing was moved may have been found out up to a second ago. */
  readonly fresh?: boolean | undefined;
  /** For who deletes what nothing leads to: where one is damaged, it is `Corrupt`. Default: that one is left out. */
  readonly whole?: boolean | undefined;
}

/**
 * The relocations of a segment by the address of its node, or of the root that it stands in: newest first, at most
 * `MAX_RELOCATIONS`.
 */
type RelocationsOf = (segment: BlobAddress) => Promise<readonly Relocation[]>;

/**
 * Lays relocations over the recorded places. All are kept, none wins: a shard's places are where the vault moved it to,
 * newest first, where it was put, and where hints say it is. A relocation that does not fit the segment is left out.
 * @param relocations newest first.
 */
export function relocate(view: SegmentView, relocations: readonly Relocation[]): SegmentView {
  const fitting = relocations.flatMap((one) => (fits(view, one) ? [one] : []));
  if (fitting.length === 0) return view;
  const recorded = placesIn(
    view,
    fitting.filter((one) => one.recorded),
  );
  const hinted = placesIn(
    view,
    fitting.filter((one) => !one.recorded),
  );
  const places = new Map<number, Place[]>();
  for (const at of new Set([...recorded.keys(), ...hinted.keys()])) {
    const all = [...(recorded.get(at) ?? []), recordedPlace(view, at), ...(hinted.get(at) ?? [])];
    places.set(
      at,
      all.filter((place, nth) => !all.slice(0, nth).some((one) => isSameBlob(one, place))),
    );
  }
  return { ...view, moved: { places, packs: keptPacks(view.record, fitting) } };
}

/**
 * Every pack that may have shards of a segment, as far as the vault itself says so: those that the node names and those
 * that shards were moved to, each once.
 */
export function allPacks(
  { packs }: SegmentRecord,
  relocations: readonly Relocation[],
): readonly PackRecord[] {
  const moved = relocations.flatMap((one) => (one.recorded ? one.packs : []));
  return [...new Map([...packs, ...moved].map((pack) => [blobKey(pack), pack])).values()];
}

/**
 * The same without those that no shard ought to be in any more: what is kept, and counts as used. By the vault's own word.
 * @param relocations newest first.
 */
export function keptPacks(record: SegmentRecord, relocations: readonly Relocation[]): readonly PackRecord[] {
  const recorded = relocations.filter((one) => one.recorded);
  const moved = new Set<number>();
  const kept: PackRecord[] = recorded.flatMap(({ packs }) => {
    const first = packs.filter(({ shards }) => shards.some((at) => !moved.has(at)));
    for (const at of packs.flatMap(({ shards }) => shards)) moved.add(at);
    return first;
  });
  const staying = new Set<number>();
  for (const [at, pack] of record.places.entries()) if (!moved.has(at)) staying.add(pack);
  const packs = [...record.packs.filter((_, pack) => staying.has(pack)), ...kept];
  return [...new Map(packs.map((pack) => [blobKey(pack), pack])).values()];
}

/** A pack at a provider: packs of the same bytes have the same address. */
export const blobKey = ({ provider, address }: PackRecord): string => `${provider}/${address}`;

/**
 * The same relocations in as few as say it all: what no shard ought to be in any more is left out, and what holds a shard that a
 * newer pack has too stays in one that is older.
 * @param relocations newest first, the vault's own word.
 * @returns the packs of each, newest first.
 */
export function unitedPacks(relocations: readonly RelocationRecord[]): (readonly RelocatedPack[])[] {
  const united: { readonly packs: RelocatedPack[]; readonly shards: Set<number> }[] = [];
  const moved = new Set<number>();
  for (const { packs } of relocations) {
    const first = packs.filter(({ shards }) => shards.some((at) => !moved.has(at)));
    for (const at of packs.flatMap(({ shards }) => shards)) moved.add(at);
    for (const pack of first) {
      let behind = united.findLastIndex(({ shards }) => pack.shards.some((at) => shards.has(at))) + 1;
      while (united[behind]?.packs.length === MAX_RELOCATED_PACKS) behind++;
      const into = united[behind] ?? { packs: [], shards: new Set() };
      united[behind] = into;
      into.packs.push(pack);
      for (const at of pack.shards) into.shards.add(at);
    }
  }
  return united.map(({ packs }) => packs);
}

/**
 * Shards that ought to be in packs of which others were moved on, once nearly as many of these lie on top of each other as a reader
 * looks at. Where they are moved along, to any provider, there is room for more moves.
 * @param relocations newest first, the vault's own word.
 */
export function tangledShards(view: SegmentView, relocations: readonly RelocationRecord[]): number[] {
  const fitting = relocations.filter((one) => fits(view, one));
  if (unitedPacks(fitting).length < MAX_RELOCATIONS - 2) return [];
  const moved = new Set<number>();
  const tangled: number[] = [];
  for (const { shards } of fitting.flatMap(({ packs }) => packs)) {
    const first = shards.filter((at) => !moved.has(at));
    if (first.length < shards.length) tangled.push(...first);
    for (const at of shards) moved.add(at);
  }
  return tangled.sort((a, b) => a - b);
}

/** What was moved and came back has its first place twice. */
const isSameBlob = ({ pack: a }: Place, { pack: b }: Place): boolean =>
  a.provider === b.provider && a.address === b.address;

/** Places by shard, in the order of the relocations. */
function placesIn(view: SegmentView, relocations: readonly Relocation[]): Map<number, Place[]> {
  const found = new Map<number, Place[]>();
  for (const pack of relocations.flatMap(({ packs }) => packs)) {
    let offset = 0;
    for (const at of inPackOrder(view, pack)) {
      entryOf(found, at, () => []).push({ pack, offset });
      offset += lengthOf(view, at);
    }
  }
  return found;
}

/** The rule of packs: data shards first, each part by chunk and then by shard. */
function inPackOrder({ code }: SegmentView, { shards }: RelocatedPack): number[] {
  const isData = (at: number): boolean => at % code.totalShards < code.dataShards;
  return [...shards.filter(isData), ...shards.filter((at) => !isData(at))];
}

const lengthOf = ({ shardLengths, code }: SegmentView, at: number): number =>
  shardLengths[Math.floor(at / code.totalShards)]!;

/** Whether a relocation names shards that there are, and packs as long as those. */
export function fits(view: SegmentView, { packs }: Pick<Relocation, 'packs'>): boolean {
  const count = view.record.places.length;
  return packs.every(
    ({ shards, length }) =>
      shards.every((at) => at < count) && shards.reduce((sum, at) => sum + lengthOf(view, at), 0) === length,
  );
}
