import type { AbortOptions } from '../core/abort.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import type { Engine } from '../engine/engine.ts';
import { KeyedMutex } from '../engine/keyed-mutex.ts';
import type { BlobAdapter, SlotName } from '../providers/adapter.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';

/**
 * The slot that says which moves brought shards to a place: the same for all vaults. It is the BLAKE3 hash of `holdfast moved
 * shards`. See docs/format/relocations.md.
 */
export const MARK_SLOT: SlotName = 'febc9e0a9e08fae2a65250adb3d3acd19aff2380b8ff646f369b7990e69a7f06';
/** `<provider>` → the marks that this state made there, the newest first. */
const MARKS_TABLE = 'move_marks';

const MARK = /^[0-9a-f]{16}$/;
/** Marks of others that a place may have; with more, nothing is moved there. */
const MAX_MARKS = 64;
/** Of those made here the slot holds one of the latest: what was written last may not have got there. */
const MAX_OWN = 64;
/** Others may write in between so often. */
const MAX_ROUNDS = 8;

/** One at a time for each provider: each takes the place of the one before. */
const TURNS = new WeakMap<Engine, KeyedMutex>();

/**
 * Marks a provider before a pack is moved there, so that no state that does not know of the move takes the pack for nobody's:
 * an older copy of this one, another home, or one that was recovered. Each move has a mark of its own.
 * @throws HoldfastError `Conflict` when others mark it without end; what the provider and the engine throw.
 */
export async function markMove(
  context: Pick<RecordsContext, 'engine' | 'random'>,
  { id, adapter }: Provider,
  options: AbortOptions = {},
): Promise<void> {
  // Where no slot says whose a place is, nothing is ever taken for nobody's.
  if (!adapter.capabilities.supportsSlots) return;
  const turns = entryOf(TURNS, context.engine, () => new KeyedMutex());
  await turns.run(id, () => mark(context, id, adapter, options), options.signal);
}

async function mark(
  { engine, random }: Pick<RecordsContext, 'engine' | 'random'>,
  id: string,
  adapter: BlobAdapter,
  options: AbortOptions,
): Promise<void> {
  const table = engine.table(MARKS_TABLE);
  const next = toHex(random(8));
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = await table.get(id, options).catch(corrupt);
    const own = marksIn(stored);
    // Known before it can be found.
    const known = [next, ...own.filter((one) => one !== next)].slice(0, MAX_OWN);
    if (stored === 'damaged') await table.put(id, encode(known), { sync: true, ...options });
    else if (!(await table.compareAndSet(id, stored, encode(known), { sync: true, ...options }))) continue;
    const slot = await adapter.readSlot(MARK_SLOT, options);
    const others = slot === undefined ? [] : marksIn(slot.bytes).filter((one) => !own.includes(one));
    if (others.length >= MAX_MARKS) throw contended('too many states have moved shards there');
    try {
      await adapter.writeSlot(MARK_SLOT, encode([next, ...others]), slot?.version, options);
      return;
    } catch (error) {
      if (!isHoldfastError(error, 'Conflict')) throw error;
    }
  }
  throw contended('others keep marking that they move shards there');
}

/**
 * Whether shards were moved to a provider of which this state knows nothing: then nothing there is nobody's.
 * @throws what the provider and the engine throw.
 */
export async function hasUnknownMoves(
  { engine }: Pick<RecordsContext, 'engine'>,
  { id, adapter }: Provider,
  options: AbortOptions = {},
): Promise<boolean> {
  if (!adapter.capabilities.supportsSlots) return false;
  const slot = await adapter.readSlot(MARK_SLOT, options);
  if (slot === undefined) return false;
  const marks = marksIn(slot.bytes);
  const own = marksIn(await engine.table(MARKS_TABLE).get(id, options).catch(corrupt));
  // What cannot be understood is nobody's that is known.
  return marks.length === 0 || marks.some((one) => !own.includes(one));
}

/** The marks at a provider; undefined where they cannot be understood. @throws what the provider throws. */
export async function marksAt(
  { adapter }: Pick<Provider, 'adapter'>,
  options: AbortOptions = {},
): Promise<readonly string[] | undefined> {
  const slot = await adapter.readSlot(MARK_SLOT, options);
  if (slot === undefined) return [];
  const marks = marksIn(slot.bytes);
  return marks.length === 0 ? undefined : marks;
}

/** This state knows now of the moves that were marked so at a provider. */
export async function adoptMarks(
  { engine }: Pick<RecordsContext, 'engine'>,
  id: string,
  marks: readonly string[],
): Promise<void> {
  const table = engine.table(MARKS_TABLE);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const stored = await table.get(id).catch(corrupt);
    const own = marksIn(stored);
    if (marks.every((mark) => own.includes(mark))) return;
    const known = [...marks, ...own.filter((mark) => !marks.includes(mark))].slice(0, MAX_MARKS + 1);
    if (stored === 'damaged') return table.put(id, encode(known), { sync: true });
    if (await table.compareAndSet(id, stored, encode(known), { sync: true })) return;
  }
}

const corrupt = (error: unknown): 'damaged' => {
  if (isHoldfastError(error, 'Corrupt')) return 'damaged';
  throw error;
};

const encode = (marks: readonly string[]): Uint8Array => utf8Encode(JSON.stringify({ v: 1, marks }));

/** None where it is not there, damaged, or of a later version. */
function marksIn(stored: Uint8Array | 'damaged' | undefined): string[] {
  if (stored === undefined || stored === 'damaged') return [];
  try {
    const { v, marks } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    const whole = v === 1 && Array.isArray(marks) && marks.length <= MAX_MARKS + 1;
    return whole && marks.every((one) => typeof one === 'string' && MARK.test(one)) ? marks : [];
  } catch {
    return [];
  }
}

const contended = (why: string): HoldfastError => new HoldfastError('Conflict', why, { status: 'temporary' });
