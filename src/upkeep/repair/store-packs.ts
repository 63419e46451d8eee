import type { AbortOptions } from '../../core/abort.ts';
import { addressOf } from '../../core/address.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import { PACK_WRITES } from '../../core/straggler-policies.ts';
import { Stragglers, type Turn } from '../../core/stragglers.ts';
import type { RelocatedPack } from '../../manifest/relocation.ts';
import type { PackRecord } from '../../manifest/segment.ts';
import { problemOf } from '../../object/damage.ts';
import { locate, namesPack, packsOf, type SegmentView } from '../../object/places.ts';
import { blobKey } from '../../object/relocations.ts';
import { fetchVerified } from '../../providers/guard.ts';
import { markMove } from '../../records/move-marks.ts';
import { type Intent, intendPacks, type PackToStore, type SegmentAt } from '../../records/moves.ts';
import type { MovingContext } from '../context.ts';
import type { RepairPace } from './pace.ts';

/** A pack to be, at its provider. */
export class PackDraft {
  readonly provider: string;
  /** Ascending. */
  readonly shards: readonly number[];
  readonly bytes: Uint8Array;
  /** Offset of each shard. */
  readonly #offsets = new Map<number, number>();

  /** Lays the shards out by the rule of packs: data first, each part by chunk and then by shard. */
  constructor({ code, shardLengths }: SegmentView, provider: string, shards: readonly number[]) {
    this.provider = provider;
    this.shards = [...shards].sort((a, b) => a - b);
    const isData = (at: number): boolean => at % code.totalShards < code.dataShards;
    let length = 0;
    for (const at of [...this.shards.filter(isData), ...this.shards.filter((at) => !isData(at))]) {
      this.#offsets.set(at, length);
      length += shardLengths[Math.floor(at / code.totalShards)]!;
    }
    this.bytes = new Uint8Array(length);
  }

  fill(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#offsets.get(at)!);
  }
}

export interface PacksStored {
  /** What was stored and read back, with what says so. */
  readonly intents: readonly Intent[];
  /** What was intended and is not there, as far as is known. */
  readonly vain: readonly Intent[];
  /** Those whose bytes the catalog counts as used since. */
  readonly counted: ReadonlySet<Intent>;
  /** Of what was stored, that in which some of its shards are now for the first time. */
  readonly packs: readonly RelocatedPack[];
  readonly bytes: number;
  readonly failed: readonly { readonly at: number; readonly error: HoldfastError }[];
}

interface PacksToStore extends AbortOptions {
  readonly at: SegmentAt;
  readonly view: SegmentView;
  /** Shards that are not what they ought to be where they ought to be. */
  readonly lost: ReadonlySet<number>;
  /** See `MoveRequest`. */
  readonly rewrites?: boolean | undefined;
  readonly pace: RepairPace;
}

/**
 * Stores packs, each noted before, and reads each back: an acknowledgement is no proof. One that is far behind the others is given
 * up, so that they count sooner. An abort shows in `failed`.
 */
export async function storePacks(
  context: MovingContext,
  { at, view, lost, rewrites = false, pace, signal }: PacksToStore,
  drafts: readonly PackDraft[],
): Promise<PacksStored> {
  const byPack = new Map(drafts.map((draft) => [packOf(context, view, draft), draft]));
  const { intents, refused } = await intendPacks(context, at, [...byPack.keys()]);
  const failed = refused.flatMap(({ pack, error }) => failedOf(byPack.get(pack)!, error));
  const stored: Intent[] = [];
  const vain: Intent[] = [];
  const counted = new Set<Intent>();
  const packs: RelocatedPack[] = [];
  const laggards = new Stragglers(context.clock, PACK_WRITES, intents.length);
  let bytes = 0;
  const store = async (intent: Intent): Promise<void> => {
    const { pack } = intent;
    const draft = byPack.get(pack)!;
    try {
      await pace.store(pack.length, { signal });
      const isWrong = intent.isCounted && (rewrites || draft.shards.some((one) => lost.has(one)));
      await storeInTime(context, { intent, bytes: draft.bytes, isWrong, counted }, laggards, signal);
    } catch (error) {
      vain.push(intent);
      failed.push(...failedOf(draft, asHoldfastError(error, { provider: pack.provider })));
      return;
    }
    stored.push(intent);
    bytes += pack.length;
    if (!draft.shards.every((one) => isIn(view, one, pack))) packs.push({ ...pack, shards: draft.shards });
  };
  try {
    await Promise.all(intents.map(store));
  } finally {
    laggards.close();
  }
  return { intents: stored, vain, counted, packs, bytes, failed };
}

/** Whether a shard ought to be in a pack already. */
function isIn(view: SegmentView, at: number, pack: PackRecord): boolean {
  const { totalShards } = view.code;
  return blobKey(locate(view, Math.floor(at / totalShards), at % totalShards).pack) === blobKey(pack);
}

/** One that has what a pack of the segment has is that pack again, where it ought to be. */
function packOf({ blake3 }: MovingContext, view: SegmentView, { provider, bytes }: PackDraft): PackToStore {
  const pack = { provider, address: addressOf(blake3.hash(bytes)), length: bytes.length };
  const isIt = (one: PackRecord): boolean => blobKey(one) === blobKey(pack);
  if (!packsOf(view).some(isIt)) return pack;
  return { ...pack, was: namesPack(view, pack) ? 'named' : 'recorded' };
}

interface ToStore {
  readonly intent: Intent;
  readonly bytes: Uint8Array;
  /** What is there is known to be wrong, if anything is. */
  readonly isWrong: boolean;
  readonly counted: Set<Intent>;
}

async function storeInTime(
  context: MovingContext,
  toStore: ToStore,
  laggards: Stragglers,
  outer: AbortSignal | undefined,
): Promise<void> {
  const { clock, directory } = context;
  const { provider } = toStore.intent.pack;
  const started = clock.monotonic();
  const turn = laggards.begin(outer, 'repair', () => directory.late(provider, clock.monotonic() - started));
  try {
    await storeOne(context, toStore, turn);
  } catch (error) {
    if (!turn.late || outer?.aborted) throw error;
    const why = 'it stands still while others have stored theirs';
    throw new HoldfastError('Timeout', why, { code: 'lost_race', cause: error });
  } finally {
    turn.end();
  }
}

/** What is there is replaced only where it is wrong: nobody reads a pack while it is written that is as it should be. */
async function storeOne(
  context: MovingContext,
  { intent, bytes, isWrong, counted }: ToStore,
  turn: Turn,
): Promise<void> {
  const { blake3, directory } = context;
  const { provider: id, address, length } = intent.pack;
  const { signal } = turn;
  const provider = directory.get(id);
  if (provider === undefined)
    throw new HoldfastError('Unavailable', 'the provider is not in the configuration');
  const noRoom = intent.isCounted ? undefined : directory.noRoom(id, length);
  if (noRoom !== undefined) throw new HoldfastError('QuotaExceeded', noRoom);
  const { adapter } = provider;
  // What is there by the word of the segment's node every state knows.
  if (intent.pack.was !== 'named') await markMove(context, provider, { signal });
  const store = async (replace: boolean): Promise<void> => {
    const existed = intent.isCounted || counted.has(intent);
    const work = (): Promise<unknown> => adapter.store(address, [bytes], { signal, replace });
    await reported(context, turn, { id, operation: 'store', bytes: length, existed }, work);
    counted.add(intent);
  };
  const readBack = (): Promise<void> =>
    reported(context, turn, { id, operation: 'fetch', bytes: length }, () =>
      fetchVerified(adapter, address, blake3, { maxBytes: length, signal }),
    );
  await store(isWrong);
  try {
    await readBack();
  } catch (error) {
    if (isWrong || problemOf(error) !== 'corrupt') throw error;
    await store(true);
    await readBack();
  }
}

interface Reported {
  readonly id: string;
  readonly operation: 'store' | 'fetch';
  readonly bytes: number;
  readonly existed?: boolean;
}

async function reported(
  { clock, directory }: MovingContext,
  { signal, progressed }: Turn,
  { id, ...outcome }: Reported,
  work: () => Promise<unknown>,
): Promise<void> {
  const started = clock.monotonic();
  const elapsed = (): number => clock.monotonic() - started;
  try {
    await work();
  } catch (error) {
    if (!signal.aborted) directory.report(id, { ...outcome, elapsedMs: elapsed(), error });
    throw error;
  }
  directory.report(id, { ...outcome, elapsedMs: elapsed() });
  progressed(elapsed());
}

const failedOf = (draft: PackDraft, error: HoldfastError): PacksStored['failed'][number][] =>
  draft.shards.map((at) => ({ at, error }));
