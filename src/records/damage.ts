import type { AbortOptions } from '../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../core/address.ts';
import { equalBytes, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { recordedTime } from '../core/clock.ts';
import { isCount } from '../core/counts.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { isEmpty } from '../engine/batches.ts';
import { type BatchOp, type Engine, MAX_KEY_BYTES, type Precondition } from '../engine/engine.ts';
import type { RecordsContext } from './context.ts';

/**
 * `<segment>/<provider>/<pack>` → JSON: what was found missing or rotten. Derived: a scrub finds it again. Of a manifest
 * node it is `<node>/<provider>/<node>`. See docs/format/damage.md.
 */
const DAMAGE_TABLE = 'damage';
/** Rows that are kept; of what is found beyond them only how much it is. */
const MAX_NOTES = 100_000;
/** Shards of a pack that are listed; of more, the whole pack counts as wrong. */
const MAX_SHARDS = 1024;
/** Notes that are written in one step. */
const AT_ONCE = 256;
/** Others may write the same rows between reading and writing so often. */
const MAX_ROUNDS = 8;
/** A full table is counted anew after so long: what was mended makes room. */
const RECOUNT_MS = 60_000;

/** Where it is, and of what. */
export interface DamageAt {
  /** The segment's node, or the root that it stands in; of a manifest node the node itself. */
  readonly segment: BlobAddress;
  readonly manifest: BlobAddress;
  readonly provider: string;
  /** The pack; of a manifest node the node itself. */
  readonly pack: BlobAddress;
}

export interface FoundDamage extends DamageAt {
  readonly problem: 'missing' | 'corrupt';
  /** `chunk × totalShards + shard` in the segment, ascending. Undefined: all of the blob. */
  readonly shards?: readonly number[] | undefined;
  readonly foundBy: 'scrub' | 'audit' | 'read' | 'repair';
}

/** What is noted, and not mended yet. */
export interface DamageNote extends FoundDamage {
  /** When it was first found. */
  readonly sinceMs: number;
}

interface NoteOptions extends AbortOptions {
  /** Each finding is all that is wrong with its blob, and replaces what was noted of it. Default: it is added to that. */
  readonly whole?: boolean | undefined;
}

/** Whether a note is of a copy of a manifest node, rather than of a pack. */
export const isNodeNote = ({ segment, pack }: DamageAt): boolean => segment === pack;

/** What tells one finding's blob from another's. */
export const damageKey = ({ segment, provider, pack }: Omit<DamageAt, 'manifest'>): string =>
  `${segment}/${provider}/${pack}`;

/**
 * Notes damage, for repair to find. Not flushed: what a crash loses is found again.
 * @returns findings for which there was no room: the next scrub after a repair finds them again.
 * @throws HoldfastError `Conflict` when others write the same without end; what the engine throws.
 */
export async function noteDamage(
  context: RecordsContext,
  findings: readonly FoundDamage[],
  options: NoteOptions = {},
): Promise<{ readonly unnoted: number }> {
  let unnoted = 0;
  for (let at = 0; at < findings.length; at += AT_ONCE) {
    unnoted += await noteSome(context, findings.slice(at, at + AT_ONCE), options);
  }
  return { unnoted };
}

async function noteSome(
  context: RecordsContext,
  findings: readonly FoundDamage[],
  options: NoteOptions,
): Promise<number> {
  const sinceMs = recordedTime(context.clock);
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const room = await roomIn(context, options);
    const rows = new Map<string, { readonly stored: Stored; readonly note: DamageNote }>();
    let added = 0;
    let unnoted = 0;
    for (const found of findings) {
      const key = damageKey(found);
      const fits = Buffer.byteLength(key) <= MAX_KEY_BYTES;
      const row = rows.get(key);
      const stored = row || !fits ? row?.stored : await rowAt(context.engine, key, options);
      if (row === undefined && stored === undefined && (!fits || added === room.left)) unnoted++;
      else {
        if (row === undefined && stored === undefined) added++;
        const before = row?.note ?? (stored && noteIn(key, stored));
        rows.set(key, { stored, note: merged(before, found, sinceMs, options) });
      }
    }
    if (await writeRows(context.engine, rows, options)) {
      room.left -= added;
      return unnoted;
    }
  }
  throw new HoldfastError('Conflict', 'others keep changing what is noted of the same damage', {
    status: 'temporary',
  });
}

type Stored = Uint8Array | 'damaged' | undefined;

/** @returns false when others wrote some of them since they were read. */
async function writeRows(
  engine: Engine,
  rows: ReadonlyMap<string, { readonly stored: Stored; readonly note: DamageNote }>,
  { signal }: AbortOptions,
): Promise<boolean> {
  if (rows.size === 0) return true;
  const ops: BatchOp[] = [];
  const preconditions: Precondition[] = [];
  for (const [key, { stored, note }] of rows) {
    ops.push({ table: DAMAGE_TABLE, key, value: encode(note) });
    // One that is damaged is only written over.
    if (stored !== 'damaged') preconditions.push({ table: DAMAGE_TABLE, key, expected: stored });
  }
  return engine.batch(ops, preconditions, { signal });
}

async function rowAt(engine: Engine, key: string, options: AbortOptions): Promise<Stored> {
  return engine
    .table(DAMAGE_TABLE)
    .get(key, { signal: options.signal })
    .catch((error: unknown) => {
      if (isHoldfastError(error, 'Corrupt')) return 'damaged';
      throw error;
    });
}

/** The first time stays, the latest word of what is wrong counts, and what was wrong before still is. */
function merged(
  before: DamageNote | undefined,
  found: FoundDamage,
  nowMs: number,
  { whole = false }: NoteOptions,
): DamageNote {
  const sinceMs = Math.min(before?.sinceMs ?? nowMs, nowMs);
  const all = new Set(found.shards ?? []);
  if (!whole) for (const at of before?.shards ?? []) all.add(at);
  const isAll = found.shards === undefined || (!whole && before !== undefined && before.shards === undefined);
  const shards = isAll || all.size > MAX_SHARDS ? undefined : [...all].sort((a, b) => a - b);
  return { ...found, shards, sinceMs };
}

/** All that is noted of a segment, or of a manifest node. */
export async function damageOf(
  { engine }: RecordsContext,
  segment: BlobAddress,
  options: AbortOptions = {},
): Promise<readonly DamageNote[]> {
  const notes: DamageNote[] = [];
  const range = { signal: options.signal, prefix: `${segment}/`, onDamaged: () => {} };
  for await (const [key, value] of engine.table(DAMAGE_TABLE).entries(range)) {
    const note = noteIn(key, value);
    if (note !== undefined) notes.push(note);
  }
  return notes;
}

/** Every segment, or manifest node, of which something is noted, in the order of their addresses. Unreadable rows are left out. */
export async function* damagedSegments(
  { engine }: RecordsContext,
  options: AbortOptions = {},
): AsyncGenerator<{ readonly segment: BlobAddress; readonly notes: readonly DamageNote[] }> {
  let notes: DamageNote[] = [];
  const range = { signal: options.signal, onDamaged: () => {} };
  for await (const [key, value] of engine.table(DAMAGE_TABLE).entries(range)) {
    const note = noteIn(key, value);
    if (note === undefined) continue;
    const segment = notes[0]?.segment;
    if (segment !== undefined && segment !== note.segment) {
      yield { segment, notes };
      notes = [];
    }
    notes.push(note);
  }
  if (notes.length > 0) yield { segment: notes[0]!.segment, notes };
}

/**
 * Removes notes of what was mended, or is nobody's any more. One to which something was added since it was read stays: that was
 * not mended with it.
 */
export async function forgetNotes(
  { engine }: RecordsContext,
  notes: readonly DamageNote[],
  options: AbortOptions = {},
): Promise<void> {
  for (const note of notes) {
    const key = damageKey(note);
    const stored = await rowAt(engine, key, options);
    const now = noteIn(key, stored);
    if (now === undefined || !equalBytes(encode(now), encode(note))) continue;
    await engine.table(DAMAGE_TABLE).compareAndSet(key, stored as Uint8Array, undefined, options);
  }
}

/** Forgets what was noted of segments and nodes, once they are deleted. */
export async function forgetDamage(
  { engine }: RecordsContext,
  segments: Iterable<BlobAddress>,
  options: AbortOptions = {},
): Promise<void> {
  const table = engine.table(DAMAGE_TABLE);
  if (await isEmpty(table, options)) return;
  for (const segment of segments) {
    const keys: string[] = [];
    const range = { ...options, prefix: `${segment}/`, onDamaged: (key: string) => void keys.push(key) };
    for await (const [key] of table.entries(range)) keys.push(key);
    for (const key of keys) await table.delete(key, options);
  }
}

interface Room {
  left: number;
  countedMs: number;
}

/** Rows that may be added, about: several processes may count at once. */
const ROOM = new WeakMap<Engine, Room>();

async function roomIn({ engine, clock }: RecordsContext, options: AbortOptions): Promise<Room> {
  const room = entryOf(ROOM, engine, () => ({ left: 0, countedMs: Number.NEGATIVE_INFINITY }));
  const now = clock.monotonic();
  if (room.left > 0 || now - room.countedMs < RECOUNT_MS) return room;
  room.countedMs = now;
  let rows = 0;
  const range = { signal: options.signal, limit: MAX_NOTES, onDamaged: () => void rows++ };
  for await (const _ of engine.table(DAMAGE_TABLE).entries(range)) rows++;
  room.left = Math.max(0, MAX_NOTES - rows);
  return room;
}

function encode({ manifest, problem, shards, sinceMs, foundBy }: DamageNote): Uint8Array {
  return utf8Encode(JSON.stringify({ v: 1, manifest, problem, shards, since: sinceMs, found_by: foundBy }));
}

const KEY = /^(b3:[0-9a-f]{64})\/(.{1,256})\/(b3:[0-9a-f]{64})$/s;
const FOUND_BY: readonly unknown[] = ['scrub', 'audit', 'read', 'repair'];

/** Undefined for what is malformed, or of a later version. */
function noteIn(key: string, value: Stored): DamageNote | undefined {
  if (value === undefined || value === 'damaged') return undefined;
  try {
    const [, segment, provider, pack] = KEY.exec(key) ?? [];
    const record = JSON.parse(utf8Decode(value)) as Record<string, unknown>;
    const { v, manifest, problem, shards, since, found_by: foundBy } = record;
    const whole =
      v === 1 &&
      segment !== undefined &&
      typeof manifest === 'string' &&
      isBlobAddress(manifest) &&
      (problem === 'missing' || problem === 'corrupt') &&
      (shards === undefined ||
        (Array.isArray(shards) && shards.length <= MAX_SHARDS && shards.every(isCount))) &&
      isCount(since) &&
      FOUND_BY.includes(foundBy);
    if (!whole) return undefined;
    return {
      segment: segment as BlobAddress,
      manifest,
      provider: provider!,
      pack: pack as BlobAddress,
      problem,
      shards: shards as readonly number[] | undefined,
      sinceMs: since,
      foundBy: foundBy as DamageNote['foundBy'],
    };
  } catch {
    return undefined;
  }
}
