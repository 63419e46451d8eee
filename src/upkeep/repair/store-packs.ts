import type { AbortOptions } from '../../core/abort.ts';
import { addressOf } from '../../core/address.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import type { RelocatedPack } from '../../manifest/relocation.ts';
import { packsOf, type SegmentView } from '../../object/places.ts';
import { fetchVerified } from '../../providers/guard.ts';
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
  /** What was intended and is not there. */
  readonly vain: readonly Intent[];
  /** Those whose bytes the catalog counts as used. */
  readonly counted: ReadonlySet<Intent>;
  /** Of what was stored, what is new to the segment. */
  readonly packs: readonly RelocatedPack[];
  readonly bytes: number;
  readonly failed: readonly { readonly at: number; readonly error: HoldfastError }[];
}

interface PacksToStore extends AbortOptions {
  readonly at: SegmentAt;
  readonly view: SegmentView;
  readonly pace: RepairPace;
}

/** Stores packs, each noted before, and reads each back: an acknowledgement is no proof. An abort shows in `failed`. */
export async function storePacks(
  context: MovingContext,
  { at, view, pace, signal }: PacksToStore,
  drafts: readonly PackDraft[],
): Promise<PacksStored> {
  const byPack = new Map<PackToStore, PackDraft>();
  for (const draft of drafts) byPack.set(packOf(context, view, draft), draft);
  const { intents, refused } = await intendPacks(context, at, [...byPack.keys()]);
  const failed = refused.flatMap(({ pack, error }) => failedOf(byPack.get(pack)!, error));
  const stored: Intent[] = [];
  const vain: Intent[] = [];
  const counted = new Set<Intent>();
  const packs: RelocatedPack[] = [];
  let bytes = 0;
  const store = async (intent: Intent): Promise<void> => {
    const { pack } = intent;
    const draft = byPack.get(pack)!;
    try {
      await pace.write(pack.length, { signal });
      await storeOne(context, pack, draft.bytes, signal, () => counted.add(intent));
    } catch (error) {
      vain.push(intent);
      failed.push(...failedOf(draft, asHoldfastError(error, { provider: pack.provider })));
      return;
    }
    stored.push(intent);
    bytes += pack.length;
    if (pack.was === undefined) packs.push({ ...pack, shards: draft.shards });
  };
  await Promise.all(intents.map(store));
  return { intents: stored, vain, counted, packs, bytes, failed };
}

/** One that has what a pack of the segment had is that pack again, where it was. */
function packOf({ blake3 }: MovingContext, view: SegmentView, { provider, bytes }: PackDraft): PackToStore {
  const address = addressOf(blake3.hash(bytes));
  const isIt = (pack: { provider: string; address: string }): boolean =>
    pack.provider === provider && pack.address === address;
  const was = view.record.packs.some(isIt) ? 'named' : packsOf(view).some(isIt) ? 'recorded' : undefined;
  return { provider, address, length: bytes.length, was };
}

async function storeOne(
  { blake3, clock, directory }: MovingContext,
  { provider: id, address, length }: PackToStore,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  onStored: () => void,
): Promise<void> {
  const provider = directory.get(id);
  if (provider === undefined)
    throw new HoldfastError('Unavailable', 'the provider is not in the configuration');
  const noRoom = directory.noRoom(id, length);
  if (noRoom !== undefined) throw new HoldfastError('QuotaExceeded', noRoom);
  const started = clock.monotonic();
  const report = (operation: 'store' | 'fetch', error?: unknown): void => {
    const elapsedMs = clock.monotonic() - started;
    directory.report(id, { operation, bytes: length, elapsedMs, ...(error === undefined ? {} : { error }) });
  };
  try {
    // What may lie there is not trusted: its bytes are written whatever they are.
    await provider.adapter.store(address, [bytes], { signal, replace: true });
  } catch (error) {
    if (!signal?.aborted) report('store', error);
    throw error;
  }
  report('store');
  onStored();
  try {
    await fetchVerified(provider.adapter, address, blake3, { maxBytes: length, signal });
  } catch (error) {
    if (!signal?.aborted) report('fetch', error);
    throw error;
  }
}

const failedOf = (draft: PackDraft, error: HoldfastError): PacksStored['failed'][number][] =>
  draft.shards.map((at) => ({ at, error }));
