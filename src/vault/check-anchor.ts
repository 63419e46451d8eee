import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { accelerationFrom } from '../core/acceleration.ts';
import { systemClock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { AnchorItem } from '../receipts/anchors/anchor.ts';
import { proveEntry, verifyEntry } from '../receipts/anchors/inclusion.ts';
import { damaged, type LogPlace, loadLog } from '../receipts/anchors/log.ts';
import { diskLogFiles } from '../receipts/anchors/log-files.ts';
import { type NoteKey, parseVerifierKey, textIn, verifierKey } from '../receipts/anchors/note.ts';
import { pathOf } from '../receipts/anchors/tiles.ts';
import { selectEd25519 } from '../receipts/ed25519/select.ts';

/** A log of roots as its files are, all of them checked. */
export interface AnchorLogReport {
  readonly origin: string;
  /** Entries that the checkpoint covers. */
  readonly size: number;
  /** Hash of the tree, 32 bytes. */
  readonly root: Uint8Array;
  /** Entries that were written when the log broke off, and that its next checkpoint will cover. */
  readonly unsigned: number;
  /** Lines of others under the checkpoint. They are not checked here. */
  readonly cosignatures: number;
  /** Verifier key that it is signed by: whether it is the right one is for the caller to know. */
  readonly key: string;
}

/** What a proof says that holds. */
export interface AnchorProofReport {
  readonly item: AnchorItem;
  readonly index: number;
  readonly origin: string;
  readonly size: number;
  readonly cosignatures: number;
}

/**
 * Checks all of a log from copied files alone: its signature, that tiles and checkpoint are those of its entries, and that no
 * root is there twice.
 * @param folder of the log, or its `public`.
 * @param key verifier key that it must be signed by. Default: the one that lies beside it.
 * @throws HoldfastError `NotFound`, code `no_anchor_log`; `Corrupt`, code `anchor_log_damaged`, which names the file.
 */
export async function verifyAnchorLog(folder: string, key?: string): Promise<AnchorLogReport> {
  const place = await placeOf(folder, key);
  const { tree, checkpoint, missing } = await loadLog(place);
  if (checkpoint === undefined) throw noLog(folder);
  const tile = checkpoint.size === tree.size ? missing[0] : undefined;
  if (tile !== undefined) throw damaged(join(place.folder, pathOf(tile)), 'it is missing');
  const { origin, size, root, cosignatures } = checkpoint;
  return { origin, size, root, cosignatures, unsigned: tree.size - size, key: verifierKey(place.key) };
}

/**
 * A proof that a root is in a log, as c2sp.org/tlog-proof has it, with the checkpoint as it is.
 * @throws HoldfastError `NotFound`, code `not_anchored` or `no_anchor_log`; `Corrupt`, code `anchor_log_damaged`.
 */
export async function proveAnchored(
  folder: string,
  item: Pick<AnchorItem, 'kind' | 'key'>,
): Promise<Uint8Array> {
  return proveEntry(await placeOf(folder, undefined), item);
}

/** @param key verifier key of the log. @throws HoldfastError `Corrupt`, code `anchor_malformed`: nothing is proven. */
export async function verifyAnchorProof(proof: Uint8Array, key: string): Promise<AnchorProofReport> {
  const ed25519 = await selectEd25519(accelerationFrom(process.env));
  const { item, index, checkpoint } = verifyEntry(proof, keyOf(key), ed25519);
  const { origin, size, cosignatures } = checkpoint;
  return { item, index, origin, size, cosignatures };
}

async function placeOf(given: string, key: string | undefined): Promise<LogPlace> {
  const inner = join(given, 'public');
  const folder = (await stat(inner).catch(() => undefined))?.isDirectory() ? inner : given;
  const files = diskLogFiles(folder, systemClock);
  const beside = key === undefined ? await files.read(join(folder, 'log.vkey'), 1_024) : undefined;
  if (key === undefined && beside === undefined) throw noLog(given);
  const ed25519 = await selectEd25519(accelerationFrom(process.env));
  return { files, folder, ed25519, key: keyOf(key ?? textIn(beside!)?.trimEnd() ?? '') };
}

function keyOf(text: string): NoteKey {
  const key = parseVerifierKey(text);
  if (key !== undefined) return key;
  throw new HoldfastError('ConfigInvalid', 'this is no verifier key of a log', {
    code: 'bad_option',
    hint: 'It is NAME+ID+BASE64, as in the file log.vkey.',
  });
}

const noLog = (folder: string): HoldfastError =>
  new HoldfastError('NotFound', `in ${folder} there is no log with a checkpoint`, {
    code: 'no_anchor_log',
    hint: 'Give the folder that has `checkpoint` and `tile/` in it.',
  });
