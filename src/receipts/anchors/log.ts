import { join } from 'node:path';
import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { Ed25519 } from '../ed25519/ed25519.ts';
import { type TreeHash, treeHash } from '../merkle/tree.ts';
import type { AnchorItem } from './anchor.ts';
import { decodeEntry } from './entry.ts';
import { EntryIndex } from './entry-index.ts';
import type { LogFiles } from './log-files.ts';
import type { SeenLog } from './log-memory.ts';
import { MAX_NOTE, type NoteKey, type OpenedCheckpoint, openCheckpoint, sha256 } from './note.ts';
import { decodeBundle, entryIn, pathOf, type Tile, TileTree, tilePath, WIDTH } from './tiles.ts';

export const logTree: TreeHash = treeHash(32, sha256);

export const MAX_BUNDLE: number = 1024 * 1024;

export interface LogPlace {
  readonly files: LogFiles;
  /** The part of the log that anybody may have: `checkpoint` and `tile/`. */
  readonly folder: string;
  readonly key: NoteKey;
  readonly ed25519: Pick<Ed25519, 'verify'>;
}

/** A log as its files are, checked. */
export interface LoadedLog {
  readonly tree: TileTree;
  readonly index: EntryIndex;
  /** Of the bundle that is not full. */
  readonly open: Uint8Array[];
  readonly checkpoint: OpenedCheckpoint | undefined;
  /** Tiles that should be there and are not. */
  readonly missing: readonly Tile[];
}

/**
 * Reads all of a log: the entries, which are what counts, and whether tiles and checkpoint say the same. Entries beyond the
 * checkpoint are those that were written when it broke off.
 * @param seen what is known of it from before: it has to have grown from that.
 * @throws HoldfastError `Corrupt`, code `anchor_log_damaged`, which names the file; `anchor_log_older`.
 */
export async function loadLog(place: LogPlace, seen?: SeenLog): Promise<LoadedLog> {
  const { files, folder } = place;
  const checkpoint = await loadCheckpoint(place);
  const tree = new TileTree(logTree);
  const index = new EntryIndex();
  const missing: Tile[] = [];
  const check = async (tile: Tile): Promise<void> => {
    const path = join(folder, pathOf(tile));
    const found = await files.read(path, MAX_BUNDLE);
    if (found === undefined) missing.push(tile);
    else if (!equalBytes(found, tile.bytes)) throw damaged(path, 'its hashes are not those of the entries');
  };
  let open: Uint8Array[] = [];
  for (let number = 0; open.length === 0; number++) {
    const bundle = await loadBundle(place, number);
    if (bundle === undefined) break;
    for (const entry of bundle.entries) {
      const item = readEntry(bundle.path, entry);
      if ((await findIn(place, { index, open: bundle.entries, tree }, item)) !== undefined)
        throw damaged(bundle.path, `it has ${item.kind} ${item.key} a second time`);
      index.add(item, tree.size);
      for (const tile of tree.append(logTree.leaf(entry))) await check(tile);
      if (tree.size === checkpoint?.size && !equalBytes(tree.root(), checkpoint.root))
        throw damaged(bundle.path, 'its entries are not those of the checkpoint');
      if (tree.size === seen?.size && !equalBytes(tree.root(), seen.root)) throw older(folder, seen);
    }
    if (bundle.entries.length < WIDTH) open = bundle.entries;
  }
  if (checkpoint !== undefined && tree.size < checkpoint.size)
    throw damaged(join(folder, tilePath('entries', Math.floor(tree.size / WIDTH))), 'it is missing');
  if (seen !== undefined && tree.size < seen.size) throw older(folder, seen);
  for (const tile of tree.partial()) await check(tile);
  return { tree, index, open, checkpoint, missing };
}

async function loadCheckpoint({
  files,
  folder,
  key,
  ed25519,
}: LogPlace): Promise<OpenedCheckpoint | undefined> {
  const path = join(folder, 'checkpoint');
  const bytes = await files.read(path, MAX_NOTE);
  if (bytes === undefined) return undefined;
  try {
    return openCheckpoint(bytes, key, ed25519);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    throw damaged(path, error.message);
  }
}

interface Bundle {
  readonly path: string;
  readonly entries: Uint8Array[];
}

/** One entry of a full bundle. */
async function readOne(
  { files, folder }: LogPlace,
  number: number,
  index: number,
): Promise<Uint8Array | undefined> {
  const bytes = await files.read(join(folder, tilePath('entries', number)), MAX_BUNDLE);
  return bytes && entryIn(bytes, index);
}

/** The full bundle, or the widest there is. */
async function loadBundle({ files, folder }: LogPlace, number: number): Promise<Bundle | undefined> {
  const full = join(folder, tilePath('entries', number));
  const whole = await files.read(full, MAX_BUNDLE);
  if (whole !== undefined) return bundleOf(full, whole, WIDTH);
  const widths = (await files.list(`${full}.p`)).filter((name) => /^[1-9]\d{0,2}$/.test(name)).map(Number);
  const width = Math.max(0, ...widths.filter((one) => one < WIDTH));
  if (width === 0) return undefined;
  const path = join(folder, tilePath('entries', number, width));
  const bytes = await files.read(path, MAX_BUNDLE);
  if (bytes === undefined) throw damaged(path, 'it is missing');
  return bundleOf(path, bytes, width);
}

function bundleOf(path: string, bytes: Uint8Array, width: number): Bundle {
  const entries = decodeBundle(bytes);
  if (entries?.length !== width) throw damaged(path, `it does not have ${width} entries`);
  return { path, entries };
}

function readEntry(path: string, entry: Uint8Array): AnchorItem {
  try {
    return decodeEntry(entry);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    throw damaged(path, error.message);
  }
}

export interface FoundEntry {
  readonly index: number;
  readonly item: AnchorItem;
  readonly bytes: Uint8Array;
}

/** The entry with the kind and key of an item. */
export async function findIn(
  place: LogPlace,
  { index, open, tree }: Pick<LoadedLog, 'index' | 'open' | 'tree'>,
  { kind, key }: Pick<AnchorItem, 'kind' | 'key'>,
): Promise<FoundEntry | undefined> {
  for (const at of index.candidates({ kind, key })) {
    const number = Math.floor(at / WIDTH);
    const isOpen = number === Math.floor(tree.size / WIDTH);
    const bytes = isOpen ? open[at % WIDTH] : await readOne(place, number, at % WIDTH);
    if (bytes === undefined) throw damaged(join(place.folder, tilePath('entries', number)), 'it is missing');
    const item = decodeEntry(bytes);
    if (item.kind === kind && item.key === key) return { index: at, item, bytes };
  }
  return undefined;
}

export function damaged(path: string, why: string): HoldfastError {
  return new HoldfastError('Corrupt', `${path}: ${why}`, {
    code: 'anchor_log_damaged',
    hint: 'Restore the file from a copy. A checkpoint alone, or a tile, is made anew where the file is removed.',
  });
}

const older = (folder: string, { size }: SeenLog): HoldfastError =>
  new HoldfastError(
    'Corrupt',
    `the log in ${folder} did not grow from the one of ${size} roots that was here`,
    {
      code: 'anchor_log_older',
      hint: 'It was restored from a backup, or replaced. Written on it would contradict what it signed: bring the newer one back, or begin another in another folder.',
    },
  );
