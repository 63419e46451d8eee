import { abortable, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { recordedTime } from '../../core/clock.ts';
import { asHoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { Stragglers } from '../../core/stragglers.ts';
import type { BatchOp, Precondition } from '../../engine/engine.ts';
import {
  encodeRelocation,
  MAX_RELOCATED_PACKS,
  MAX_RELOCATIONS,
  type RelocatedPack,
  type RelocationRecord,
} from '../../manifest/relocation.ts';
import { relocationSlotName } from '../../manifest/relocation-slot.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { allPlaces, type SegmentView } from '../../object/places.ts';
import { blobKey, fits, keptPacks, relocate, unitedPacks } from '../../object/relocations.ts';
import type { DomainLevel } from '../../placement/domains.ts';
import { decidedNow, placeOf, readClaim } from '../../records/claims.ts';
import { moveChange, readMove } from '../../records/move-rows.ts';
import { slotIsDue } from '../../records/relocation-slots.ts';
import { noRelocation, relocationOp, storedRelocations } from '../../records/relocations.ts';
import { type LeasingContext, withSegmentLease } from '../../records/repair-leases.ts';
import { distinctOps, indexedOps, unindexedOps } from '../../records/shard-index.ts';
import { isSuperseded, readRelocationSlot, type ToldRelocation } from '../../records/slot-relocations.ts';
import type { UpkeepContext } from '../context.ts';
import { packsInUse, provesShards } from '../scrub/pack-check.ts';

/** Whether a provider has a pack, by its word. */
export type PackState = 'there' | 'missing' | 'unknown';

/** No clock of this vault ever shows more. */
const LATEST_MS = 99_999_999_999_999;
/** Packs of a segment that are read to see whether a hint is true. */
const MAX_READ = 64;

export interface ToldSegment {
  readonly manifest: BlobAddress;
  readonly segment: BlobAddress;
  /** As it was put. */
  readonly view: SegmentView;
  readonly level: DomainLevel;
  /** What the object stands by. */
  readonly holds: readonly Precondition[];
  readonly stateOf: (pack: PackRecord) => Promise<PackState>;
}

/**
 * Learns from slots at the providers where shards were moved to, and records it: what the vault signed, where the pack is there; what
 * it did not, only for shards that are nowhere else, and after the pack was read and every shard found true.
 */
export class ToldMoves {
  /** Something was told that could not be recorded. */
  incomplete = false;
  readonly #context: UpkeepContext & LeasingContext;
  readonly #holders: ReadonlyMap<string, ReadonlySet<string>>;
  readonly #silent: Map<string, string>;
  readonly #laggards: Stragglers;
  readonly #signal: AbortSignal | undefined;

  /**
   * @param holders by slot, the providers that listed it.
   * @param silent providers that do not answer, and why; added to.
   */
  constructor(
    context: UpkeepContext & LeasingContext,
    holders: ReadonlyMap<string, ReadonlySet<string>>,
    silent: Map<string, string>,
    laggards: Stragglers,
    signal: AbortSignal | undefined,
  ) {
    this.#context = context;
    this.#holders = holders;
    this.#silent = silent;
    this.#laggards = laggards;
    this.#signal = signal;
  }

  /** @returns the segment, its shards where they are now as far as the state knows then. */
  async learn(its: ToldSegment): Promise<SegmentView> {
    const { keys, records } = await storedRelocations(this.#context.engine, its.segment);
    const known = newest(records.filter((one) => fits(its.view, one))).slice(0, MAX_RELOCATIONS);
    const holders = this.#holders.get(relocationSlotName(this.#context.blake3, its.segment));
    if (holders === undefined) return relocate(its.view, vouched(known));
    const told = (await this.#heard(its.segment, holders)).filter(({ record }) => fits(its.view, record));
    const fresh = await this.#worthRecording(its, known, told);
    const recorded = fresh.length === 0 ? known : await this.#record(its, { keys, known, fresh });
    if (recorded === undefined) this.incomplete = true;
    // Who does not answer may have them; a hint of somebody whom nobody knows is none.
    const { directory } = this.#context;
    const maybe = told.map(async ({ record: one, signed }) => {
      const states = await Promise.all(one.packs.map(its.stateOf));
      const packs = one.packs.filter(
        ({ provider }, nth) => states[nth] === 'unknown' && (signed || directory.get(provider) !== undefined),
      );
      return packs.length === 0 ? [] : [{ ...one, packs, recorded: false }];
    });
    return relocate(its.view, [...vouched(recorded ?? known), ...(await Promise.all(maybe)).flat()]);
  }

  /** What the slots of a segment hold, each once. */
  async #heard(segment: BlobAddress, holders: ReadonlySet<string>): Promise<ToldRelocation[]> {
    const slot = relocationSlotName(this.#context.blake3, segment);
    const told = new Map<string, ToldRelocation>();
    const hear = async (id: string): Promise<void> => {
      const there = await this.#slotAt(id, slot);
      if (there === undefined) return;
      for (const one of readRelocationSlot(this.#context, slot, there)?.relocations ?? []) {
        const key = toHex(this.#context.blake3.hash(one.bytes));
        if (told.get(key)?.signed !== true) told.set(key, one);
      }
    };
    await Promise.all([...holders].map(hear));
    return [...told.values()].filter(({ record }) => record.movedMs < LATEST_MS);
  }

  async #slotAt(id: string, slot: string): Promise<Uint8Array | undefined> {
    const { clock, directory } = this.#context;
    const provider = directory.get(id);
    if (provider === undefined || this.#silent.has(id)) return undefined;
    const turn = this.#laggards.begin(this.#signal, 'recover', () => directory.late(id));
    const started = clock.monotonic();
    try {
      const there = await abortable(provider.adapter.readSlot(slot, { signal: turn.signal }), turn.signal);
      turn.progressed(clock.monotonic() - started);
      return there?.bytes;
    } catch (error) {
      throwIfAborted(this.#signal, 'recover');
      if (!isHoldfastError(error, 'Corrupt'))
        this.#silent.set(
          id,
          turn.late ? 'it did not answer while others did' : asHoldfastError(error).message,
        );
      return undefined;
    } finally {
      turn.end();
    }
  }

  /** What the state did not know, the newest first. */
  async #worthRecording(
    its: ToldSegment,
    known: readonly RelocationRecord[],
    told: readonly ToldRelocation[],
  ): Promise<RelocationRecord[]> {
    const knows = known.map(encodeRelocation);
    const isKnown = (bytes: Uint8Array): boolean => knows.some((one) => equalBytes(one, bytes));
    const unknown = told.filter(({ bytes }) => !isKnown(bytes));
    const fresh: RelocationRecord[] = [];
    for (const { record: one, signed } of unknown) {
      if (!signed) continue;
      const packs = await this.#thatAreThere(its, one.packs);
      if (packs.length > 0 && !isKnown(encodeRelocation({ ...one, packs }))) fresh.push({ ...one, packs });
    }
    const all = newest([...known, ...fresh]);
    const moving = fresh.filter((one) => !isSuperseded(one, all));
    const hints = newest(unknown.filter(({ signed }) => !signed).map(({ record }) => record));
    const proven = await this.#proven(its, relocate(its.view, vouched(all)), hints);
    if (proven.length > 0) {
      const movedMs = Math.max(recordedTime(this.#context.clock), (all[0]?.movedMs ?? -1) + 1);
      moving.push({ segment: its.segment, movedMs, packs: proven });
    }
    return newest(moving);
  }

  async #thatAreThere(its: ToldSegment, packs: readonly RelocatedPack[]): Promise<RelocatedPack[]> {
    const there: RelocatedPack[] = [];
    for (const pack of packs) {
      const { isFree } = await readClaim(this.#context, pack);
      if (isFree && (await its.stateOf(pack)) === 'there') there.push(pack);
    }
    return there;
  }

  /** Of the packs that hints name those in which are, by their digests, shards that are nowhere else. */
  async #proven(
    its: ToldSegment,
    view: SegmentView,
    hints: readonly RelocationRecord[],
  ): Promise<RelocatedPack[]> {
    const found = new Map<number, RelocatedPack>();
    const tried = new Set<string>();
    for (const pack of hints.flatMap(({ packs }) => packs)) {
      const isNew = tried.size < tried.add(blobKey(pack)).size;
      if (!isNew || tried.size > MAX_READ) continue;
      const lacking = await Promise.all(
        pack.shards.map(async (at) => !found.has(at) && !(await isAnywhere(its, view, at))),
      );
      if (lacking.includes(false) || (await this.#thatAreThere(its, [pack])).length === 0) continue;
      if (await this.#isTrue(its.view, its.segment, pack)) for (const at of pack.shards) found.set(at, pack);
    }
    return [...new Set(found.values())].slice(0, MAX_RELOCATED_PACKS);
  }

  /** Whether a pack holds what it is said to hold. */
  async #isTrue(view: SegmentView, segment: BlobAddress, pack: RelocatedPack): Promise<boolean> {
    const provider = this.#context.directory.get(pack.provider);
    if (provider === undefined) return false;
    const told = relocate(view, vouched([{ segment, movedMs: 0, packs: [pack] }]));
    const [inUse] = packsInUse(told).filter((one) => blobKey(one.pack) === blobKey(pack));
    const turn = this.#laggards.begin(this.#signal, 'recover', () => {});
    const { clock } = this.#context;
    let sinceMs = clock.monotonic();
    const progressed = (): void => {
      turn.progressed(clock.monotonic() - sinceMs);
      sinceMs = clock.monotonic();
    };
    try {
      const lane = { provider, signal: turn.signal, progressed };
      return await abortable(provesShards(this.#context, told, inUse!, lane), turn.signal);
    } catch {
      // A hint is nobody's word. What it names is kept for as long as it stands.
      throwIfAborted(this.#signal, 'recover');
      return false;
    } finally {
      turn.end();
    }
  }

  /** @returns what stands then; undefined where others came between, or there is not room for all. */
  async #record(
    { manifest, segment, view, level, holds }: ToldSegment,
    { keys, known, fresh }: Learnt,
  ): Promise<readonly RelocationRecord[] | undefined> {
    const context = this.#context;
    const all = newest([...known, ...fresh]);
    const unites = keys.length + fresh.length > MAX_RELOCATIONS;
    const packs = unites ? unitedPacks(all) : [];
    if (packs.length > MAX_RELOCATIONS) return undefined;
    const latestMs = all[0]!.movedMs + packs.length;
    const united = packs.map((its, nth) => ({ segment, movedMs: latestMs - nth, packs: its }));
    const [written, stand] = unites ? [united, united] : [fresh, all];
    const before = relocate(view, vouched(known));
    const after = relocate(view, vouched(stand));
    const ops: BatchOp[] = [
      ...distinctOps([
        ...unindexedOps(before, { segment, manifest, level }),
        ...indexedOps(after, { segment, manifest, level }),
      ]),
      ...(unites ? keys.map(noRelocation) : []),
      ...written.map((one) => relocationOp(context.blake3, one)),
      slotIsDue(segment, manifest, stand[0]!.movedMs),
    ];
    return withSegmentLease(context, segment, async (lease) => {
      const rows = await this.#rowsOf({ segment, manifest }, keptPacks(view.record, vouched(stand)), fresh);
      ops.push(...rows.ops);
      const preconditions = [...holds, ...rows.preconditions, lease.holds];
      const isWritten = await context.engine.batch(ops, preconditions, { sync: true });
      return isWritten ? stand : undefined;
    }).catch((error: unknown) => {
      // Whoever moves its shards now knows of them more than was told.
      if (isHoldfastError(error, 'Conflict') && error.code === 'segment_leased') return undefined;
      throw error;
    });
  }

  /** That shards ought to be in the packs that the state learnt of. */
  async #rowsOf(
    at: Pick<ToldSegment, 'segment' | 'manifest'>,
    kept: readonly PackRecord[],
    fresh: readonly RelocationRecord[],
  ): Promise<{ readonly ops: BatchOp[]; readonly preconditions: Precondition[] }> {
    const named = new Set(fresh.flatMap(({ packs }) => packs.map(blobKey)));
    const { recoveries } = await decidedNow(this.#context);
    const sinceMs = recordedTime(this.#context.clock);
    const ops: BatchOp[] = [];
    const preconditions: Precondition[] = [];
    for (const pack of kept.filter((one) => named.has(blobKey(one)))) {
      const there = await readMove(this.#context.engine, placeOf(pack));
      if (there.isThere) continue;
      const change = moveChange(there, {
        ...{ ...at, recoveries, sinceMs },
        state: 'recorded',
        bytes: pack.length,
      });
      ops.push(...change.ops);
      preconditions.push(...change.preconditions);
    }
    return { ops, preconditions };
  }
}

interface Learnt {
  /** What stands of the segment. */
  readonly keys: readonly string[];
  readonly known: readonly RelocationRecord[];
  readonly fresh: readonly RelocationRecord[];
}

/** Whether the state knows a place of a shard where its pack is there. */
async function isAnywhere({ stateOf }: ToldSegment, view: SegmentView, at: number): Promise<boolean> {
  for (const { pack } of allPlaces(view, at)) if ((await stateOf(pack)) === 'there') return true;
  return false;
}

const vouched = (records: readonly RelocationRecord[]) => records.map((one) => ({ ...one, recorded: true }));

const newest = (records: readonly RelocationRecord[]): RelocationRecord[] =>
  [...records].sort((a, b) => b.movedMs - a.movedMs);
