import { type AbortOptions, abortable } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { equalBytes, toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { withDeadline } from '../core/clock.ts';
import { isCount } from '../core/counts.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { type EachOptions, eachAlone, type PieceFailure } from '../core/pieces.ts';
import { POINTER_WRITES } from '../core/straggler-policies.ts';
import { Stragglers, type Turn } from '../core/stragglers.ts';
import { entriesFrom } from '../engine/batches.ts';
import type { BatchOp, Engine } from '../engine/engine.ts';
import { relocationSlotName, type SlotRelocation } from '../manifest/relocation-slot.ts';
import { CopyDealer, spread } from '../object/rendezvous.ts';
import { domainOf } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import { declaredLost } from './lost-providers.ts';
import { domainsWanted, manifestStands } from './manifests.ts';
import { type Poison, PoisonLog } from './poison.ts';
import { ownRelocations, unitedSlot } from './slot-relocations.ts';
import { readIfIntact, withSlots } from './slots.ts';

/** Segment → that its slots do not say yet what the engine does. */
export const RELOCATION_SLOTS_TABLE = 'relocation_slots_due';

/** Segments that are tried in one go, and at once. */
const MAX_TOLD = 128;
const PARALLEL = 4;
/** Other writers may come between so often. */
const MAX_ROUNDS = 8;
const DELETE_MS = 10_000;

interface SlotDue {
  readonly manifest: BlobAddress;
  /** When; another whenever it becomes due anew. */
  readonly sinceMs: number;
  /** It is told, by a worker that has no key: to be signed still. */
  readonly told?: true | undefined;
  /** The object is gone: providers whose slot is to be deleted still. */
  readonly left?: readonly string[] | undefined;
}

/** @internal Tests pin its bytes. */
export const encodeSlotDue = ({ manifest, sinceMs: since, told, left }: SlotDue): Uint8Array =>
  utf8Encode(JSON.stringify({ v: 1, manifest, since, told, left }));

/** Undefined for what is damaged, or of a later version. @internal */
export function slotDueIn(stored: Uint8Array): SlotDue | undefined {
  try {
    const { v, manifest, since, told, left } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const whole =
      v === 1 &&
      typeof manifest === 'string' &&
      isBlobAddress(manifest) &&
      isCount(since) &&
      (told === undefined || told === true) &&
      (left === undefined || (Array.isArray(left) && left.every((id) => typeof id === 'string')));
    return whole ? ({ manifest, sinceMs: since, told, left } as SlotDue) : undefined;
  } catch {
    return undefined;
  }
}

const dueOp = (segment: BlobAddress, due: SlotDue): BatchOp => ({
  table: RELOCATION_SLOTS_TABLE,
  key: segment,
  value: encodeSlotDue(due),
});

/**
 * To be written with what changed: the slots of a segment are to say where its shards are.
 * @param sinceMs another whenever something was moved.
 */
export const slotIsDue = (segment: BlobAddress, manifest: BlobAddress, sinceMs: number): BatchOp =>
  dueOp(segment, { manifest, sinceMs });

/** To be written with the end of a segment's relocations: its slots are to be deleted. */
export const slotEnds = (
  { directory }: Pick<RecordsContext, 'directory'>,
  segment: BlobAddress,
  manifest: BlobAddress,
): BatchOp => dueOp(segment, { manifest, sinceMs: 0, left: withSlots(directory.all()).map(({ id }) => id) });

/** Whether what the engine says of a segment is at the providers too, signed. A row that cannot be read is written anew. */
export async function isTold(
  { engine }: { readonly engine: Engine },
  { segment, manifest }: { readonly segment: BlobAddress; readonly manifest: BlobAddress },
): Promise<boolean> {
  try {
    const stored = await engine.table(RELOCATION_SLOTS_TABLE).get(segment);
    if (stored === undefined) return true;
    if (slotDueIn(stored) !== undefined) return false;
  } catch (error) {
    if (!isHoldfastError(error, 'Corrupt')) throw error;
  }
  await engine.batch([slotIsDue(segment, manifest, 0)]);
  return false;
}

/** Writes, or deletes, what is due of one segment. @returns whether nothing is left to do that can be done here. */
export async function tellOfMoves(
  context: RecordsContext,
  segment: BlobAddress,
  options: AbortOptions = {},
): Promise<boolean> {
  const table = context.engine.table(RELOCATION_SLOTS_TABLE);
  const stored = await table.get(segment, options);
  const due = stored && slotDueIn(stored);
  if (due === undefined) return true;
  const hasKey = context.keys.signing !== undefined;
  if (due.left !== undefined) {
    // Only who has the key can tell that this state is the latest.
    if (!hasKey) return true;
    const left = await deleteSlots(context, segment, due.left, options);
    const next = left.length === 0 ? undefined : encodeSlotDue({ ...due, left });
    if (next === undefined || !equalBytes(next, stored!)) await table.compareAndSet(segment, stored, next);
    return left.length === 0;
  }
  if (due.told && !hasKey) return true;
  if (!(await writeSlots(context, segment, due, options))) return false;
  const next = hasKey ? undefined : encodeSlotDue({ ...due, told: true });
  await table.compareAndSet(segment, stored, next, { sync: true });
  const { isThere } = await manifestStands(context.engine, due.manifest);
  // Who deleted the object meanwhile may have deleted the slot before it was written.
  if (!isThere) await context.engine.batch([slotEnds(context, segment, due.manifest)]);
  return true;
}

/** @returns whether the slot is in as many failure domains as outlive what the object does, or in all there are. */
async function writeSlots(
  context: RecordsContext,
  segment: BlobAddress,
  { manifest }: SlotDue,
  options: AbortOptions,
): Promise<boolean> {
  const { directory, policy } = context;
  const own = await ownRelocations(context, segment);
  if (own.length === 0) return true;
  const lost = await declaredLost(context, options);
  const able = withSlots(directory.all()).filter(({ id }) => !lost.has(id));
  const there = new Set(able.map((provider) => domainOf(provider, policy.failureDomain))).size;
  const needed = Math.min(there, (await domainsWanted(context, manifest, options)) || there);
  const order = spread(context, segment, able);
  const queue = [
    ...order.filter(({ id }) => directory.isResponsive(id)),
    ...order.filter(({ id }) => !directory.isResponsive(id)),
  ];
  const wanted = Math.min(able.length, needed + 1);
  const dealer = new CopyDealer(context, { wanted, needed }, queue);
  const laggards = new Stragglers(context.clock, POINTER_WRITES);
  const fill = async (): Promise<void> => {
    for (let next = dealer.next(); next !== undefined; next = dealer.next()) {
      dealer.answered(next, await writeAt(context, next, { segment, own }, laggards, options));
    }
  };
  try {
    await Promise.all(Array.from({ length: wanted }, fill));
  } finally {
    laggards.close();
  }
  return dealer.domains >= needed;
}

interface Told {
  readonly segment: BlobAddress;
  readonly own: readonly SlotRelocation[];
}

/** @returns false where it did not take it. @throws HoldfastError `QuotaExceeded` where no slot has room for it. */
async function writeAt(
  context: RecordsContext,
  { id, adapter }: Provider,
  { segment, own }: Told,
  laggards: Stragglers,
  { signal }: AbortOptions,
): Promise<boolean> {
  const slot = relocationSlotName(context.blake3, segment);
  const { clock, directory } = context;
  const unite = (there: Uint8Array | undefined): Uint8Array => unitedSlot(context, segment, own, there);
  unite(undefined);
  const turn = laggards.begin(signal, 'the slot of what was moved', () => directory.late(id));
  const started = clock.monotonic();
  const write = async ({ signal }: Turn): Promise<boolean> => {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const there = await readIfIntact(adapter, slot, { signal });
      const content = unite(there?.bytes);
      if (there !== undefined && equalBytes(there.bytes, content)) return true;
      try {
        await adapter.writeSlot(slot, content, there?.version, { signal });
        return true;
      } catch (error) {
        if (!isHoldfastError(error, 'Conflict')) throw error;
      }
    }
    return false;
  };
  try {
    const done = await abortable(write(turn), turn.signal);
    turn.progressed(clock.monotonic() - started);
    directory.heard(id);
    return done;
  } catch {
    return false;
  } finally {
    turn.end();
  }
}

/** @returns those whose slot may be there still. A provider that is not known any more has none for us. */
async function deleteSlots(
  { clock, directory, blake3 }: RecordsContext,
  segment: BlobAddress,
  ids: readonly string[],
  { signal }: AbortOptions,
): Promise<string[]> {
  const slot = relocationSlotName(blake3, segment);
  const left: string[] = [];
  const remove = async (id: string): Promise<void> => {
    const provider = directory.get(id);
    if (provider === undefined) return;
    if (!directory.isResponsive(id)) return void left.push(id);
    const send = (within: AbortSignal): Promise<void> =>
      provider.adapter.deleteSlot(slot, { signal: within, forget: true });
    await withDeadline(clock, DELETE_MS, 'deleting a slot', send, signal).catch(() => void left.push(id));
  };
  await Promise.all(ids.map(remove));
  return left.sort();
}

export interface MovesTold {
  readonly poison: Poison;
  /** Segments whose slots could not be written, or deleted, now. */
  readonly failures: readonly PieceFailure[];
}

/** Brings slots of relocations to what the engine says, from a random one on. One that cannot be done keeps no other from it. */
export async function tellOfAllMoves(context: RecordsContext, options: EachOptions = {}): Promise<MovesTold> {
  const poison = new PoisonLog(RELOCATION_SLOTS_TABLE);
  const due: BlobAddress[] = [];
  const table = context.engine.table(RELOCATION_SLOTS_TABLE);
  const from = `b3:${toHex(context.random(2))}`;
  for await (const [segment, stored] of entriesFrom(table, '', from, poison.add, options)) {
    if (!isBlobAddress(segment) || slotDueIn(stored) === undefined) poison.add(segment);
    else due.push(segment);
    if (due.length === MAX_TOLD) break;
  }
  const tell = async (segment: BlobAddress, signal: AbortSignal): Promise<void> => {
    if (!(await tellOfMoves(context, segment, { signal }))) throw notTaken();
  };
  const each = { ...options, parallel: PARALLEL };
  return { poison, failures: await eachAlone(context.clock, due, (segment) => segment, each, tell) };
}

const notTaken = (): HoldfastError =>
  new HoldfastError('Unavailable', 'too few providers take the slots that say where shards were moved to', {
    status: 'temporary',
  });
