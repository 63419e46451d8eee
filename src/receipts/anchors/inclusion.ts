import { join } from 'node:path';
import { utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Ed25519 } from '../ed25519/ed25519.ts';
import { verifyInclusion } from '../merkle/proofs.ts';
import type { AnchorItem } from './anchor.ts';
import { decodeEntry } from './entry.ts';
import { damaged, findIn, type LogPlace, loadLog, logTree, MAX_BUNDLE } from './log.ts';
import {
  fromBase64,
  MAX_NOTE,
  type NoteKey,
  type OpenedCheckpoint,
  openCheckpoint,
  textIn,
  toBase64,
} from './note.ts';
import { pathOf, type Tile, tilePath, WIDTH } from './tiles.ts';

/** Proofs as c2sp.org/tlog-proof has them, with the entry itself as the extra data. */

const FIRST_LINE = 'c2sp.org/tlog-proof@v1';
const MAX_PATH = 64;
export const MAX_LOG_PROOF: number = MAX_NOTE + 64 * 1024;

/** @throws HoldfastError `NotFound`, code `not_anchored`; `Corrupt`, code `anchor_log_damaged`. */
export async function proveEntry(
  place: LogPlace,
  item: Pick<AnchorItem, 'kind' | 'key'>,
): Promise<Uint8Array> {
  const log = await loadLog(place);
  const { checkpoint } = log;
  const found = await findIn(place, log, item);
  if (found === undefined || checkpoint === undefined || found.index >= checkpoint.size)
    throw new HoldfastError('NotFound', `the log has no ${item.kind} ${item.key}`, { code: 'not_anchored' });
  const note = await place.files.read(join(place.folder, 'checkpoint'), MAX_NOTE);
  if (note === undefined) throw damaged(join(place.folder, 'checkpoint'), 'it is missing');
  const path = await inclusionPath(place, found.index, checkpoint.size);
  const lines = [FIRST_LINE, `extra ${toBase64(found.bytes)}`, `index ${found.index}`, ...path.map(toBase64)];
  return utf8Encode(`${lines.join('\n')}\n\n${utf8Decode(note)}`);
}

export interface ProvenEntry {
  readonly item: AnchorItem;
  readonly index: number;
  readonly checkpoint: OpenedCheckpoint;
}

/** @throws HoldfastError `Corrupt`, code `anchor_malformed`: nothing is proven. */
export function verifyEntry(proof: Uint8Array, key: NoteKey, ed25519: Pick<Ed25519, 'verify'>): ProvenEntry {
  const text = textIn(proof) ?? '';
  const end = text.indexOf('\n\n');
  if (end < 0 || proof.length > MAX_LOG_PROOF) throw unproven('it is no proof');
  const [first, extra = '', place = '', ...hashes] = text.slice(0, end).split('\n');
  const entry = extra.startsWith('extra ') ? fromBase64(extra.slice(6)) : undefined;
  const index = /^index (0|[1-9]\d{0,15})$/.exec(place)?.[1];
  const path = hashes.map(fromBase64);
  if (first !== FIRST_LINE || entry === undefined || index === undefined)
    throw unproven('it is no proof of an entry');
  if (path.length > MAX_PATH || !path.every(isHash)) throw unproven('a line of it is no hash');
  const checkpoint = openCheckpoint(utf8Encode(text.slice(end + 2)), key, ed25519);
  const { size, root } = checkpoint;
  const leaf = logTree.leaf(entry);
  if (!verifyInclusion(logTree, { index: Number(index), size, leaf, path, root }))
    throw unproven('its hashes do not lead to the root');
  return { item: decodeEntry(entry), index: Number(index), checkpoint };
}

const isHash = (bytes: Uint8Array | undefined): bytes is Uint8Array => bytes?.length === 32;

const unproven = (why: string): HoldfastError =>
  new HoldfastError('Corrupt', `nothing is proven: ${why}`, { code: 'anchor_malformed' });

/** The hashes beside the way of an entry up to the root of a tree of `size`, the lowest first, out of the tiles. */
async function inclusionPath(place: LogPlace, index: number, size: number): Promise<Uint8Array[]> {
  const path: Uint8Array[] = [];
  let [from, to] = [0, size];
  while (to - from > 1) {
    let power = 1;
    while (power * 2 < to - from) power *= 2;
    const middle = from + power;
    const isLeft = index < middle;
    path.push(await rangeRoot(place, isLeft ? [middle, to] : [from, middle], size));
    if (isLeft) to = middle;
    else from = middle;
  }
  return path.reverse();
}

/** A range whose start is a multiple of the least power of two that holds it. */
async function rangeRoot(
  place: LogPlace,
  [from, to]: readonly [number, number],
  size: number,
): Promise<Uint8Array> {
  const subtrees: Uint8Array[] = [];
  for (let at = from; at < to; ) {
    let height = 0;
    while (2 ** (height + 1) <= to - at) height++;
    subtrees.push(await subtreeRoot(place, height, at / 2 ** height, size));
    at += 2 ** height;
  }
  return subtrees.reduceRight((right, left) => logTree.node(left, right));
}

async function subtreeRoot(
  place: LogPlace,
  height: number,
  index: number,
  size: number,
): Promise<Uint8Array> {
  const { from, count, ...tile } = tileOf({ height, index }, size);
  const full = join(place.folder, tilePath(tile.level, tile.index));
  const bytes =
    (await place.files.read(join(place.folder, pathOf(tile)), MAX_BUNDLE)) ??
    (await place.files.read(full, MAX_BUNDLE));
  if (bytes === undefined || bytes.length < 32 * (from + count))
    throw damaged(join(place.folder, pathOf(tile)), 'it is missing or too short');
  let hashes = hashesIn(bytes, from, count);
  while (hashes.length > 1)
    hashes = hashes.flatMap((hash, i) => (i % 2 === 0 ? [logTree.node(hash, hashes[i + 1]!)] : []));
  return hashes[0]!;
}
/** The hash of a tree's complete subtree of 2^`height` leaves, the `index`-th: where it is in a tile, or made of one. */
interface Subtree {
  readonly height: number;
  readonly index: number;
}

/** Tile of a log of `size` in which a subtree's hash is, or those that it is made of, as `from` and `count`. */
function tileOf(
  { height, index }: Subtree,
  size: number,
): Omit<Tile, 'bytes'> & {
  readonly from: number;
  readonly count: number;
} {
  const level = Math.floor(height / 8);
  const count = 2 ** (height % 8);
  const first = index * count;
  const tile = Math.floor(first / WIDTH);
  const inLevel = Math.floor(size / WIDTH ** level);
  return { level, index: tile, width: Math.min(WIDTH, inLevel - tile * WIDTH), from: first % WIDTH, count };
}

function hashesIn(bytes: Uint8Array, from: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => bytes.slice((from + i) * 32, (from + i + 1) * 32));
}
