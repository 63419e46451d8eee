import { equalBytes, toHex } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { loadRoot } from './close.ts';
import type { Ed25519 } from './ed25519/ed25519.ts';
import { MAX_FILE_BYTES, scanFile, scanInTurns } from './log/batch.ts';
import { filePath, listEpochs, listFiles } from './log/folder.ts';
import type { Place as Folder } from './log/load.ts';
import { proveInclusion, verifyInclusion } from './merkle/proofs.ts';
import { blake3Tree } from './merkle/tree.ts';
import { decodeReceipt, idOf, isSignedRight, type Receipt } from './records/records.ts';
import {
  decodeRoot,
  type EpochRoot,
  encodeProof,
  type InclusionProof,
  isRootSigned,
  RECORDS_PER_FILE,
} from './records/root.ts';
import { sumEpoch } from './sums.ts';

/** How far an epoch is. */
export type EpochState =
  /** It is written to, or waits for its root. */
  | { readonly epoch: number; readonly state: 'open' }
  | { readonly epoch: number; readonly state: 'closed'; readonly root: EpochRoot }
  /** A later one has its root: it gets none, and counts for nothing. */
  | { readonly epoch: number; readonly state: 'void' }
  /** It holds up those after it. */
  | { readonly epoch: number; readonly state: 'damaged'; readonly flaw: HoldfastError };

/** Every epoch that is there, in order. Those without a root are gone through: a million records take seconds. */
export async function listStates(folder: Folder): Promise<EpochState[]> {
  const { folders, roots } = await listEpochs(folder.files, folder.folder);
  const newest = roots.at(-1) ?? -1;
  const states: EpochState[] = [];
  for (const epoch of [...new Set([...folders, ...roots])].sort((a, b) => a - b)) {
    if (epoch < newest && !roots.includes(epoch)) states.push({ epoch, state: 'void' });
    else states.push(await stateOf(folder, epoch, roots.includes(epoch)));
  }
  return states;
}

async function stateOf(folder: Folder, epoch: number, isClosed: boolean): Promise<EpochState> {
  try {
    if (isClosed) return { epoch, state: 'closed', root: (await loadRoot(folder, epoch)).root };
    await sumEpoch(folder, epoch);
    return { epoch, state: 'open' };
  } catch (error) {
    // One that cannot be read hides none of the others.
    if (!isHoldfastError(error)) throw error;
    return { epoch, state: 'damaged', flaw: error };
  }
}

/** Where a record is in a folder of receipts. */
export interface FoundReceipt {
  readonly epoch: number;
  readonly seq: number;
  /** In its file. */
  readonly index: number;
  readonly receipt: Receipt;
  readonly bytes: Uint8Array;
}

/** Goes through the records of an epoch as far as they are whole, until `visit` says that it is enough. */
async function visitEpoch(
  { files, folder, blake3 }: Folder,
  epoch: number,
  visit: (found: FoundReceipt) => void,
  isEnough: () => boolean = () => false,
): Promise<void> {
  const { count } = await listFiles(files, folder, epoch);
  for (let seq = 0; seq < count && !isEnough(); seq++) {
    const bytes = await files.read(filePath(folder, epoch, seq), MAX_FILE_BYTES);
    if (bytes !== undefined)
      await scanInTurns(blake3, bytes, (record, index) => visit({ epoch, seq, index, ...record }), isEnough);
  }
}

/** Whoever mistyped the number of an hour is not to be told that nothing was read in it. */
async function requireEpoch({ files, folder }: Folder, epoch: number): Promise<void> {
  const { folders, roots } = await listEpochs(files, folder);
  if (folders.includes(epoch) || roots.includes(epoch)) return;
  throw new HoldfastError('NotFound', `there are no receipts of epoch ${epoch} in ${folder}`, {
    code: 'no_such_epoch',
    hint: '`holdfast receipts list` shows the hours of which there are.',
  });
}

/** Some records of an epoch, in their order. */
export interface ReceiptsPage {
  readonly found: readonly FoundReceipt[];
  /** Records before the first of the next page; undefined: there is none. */
  readonly next: number | undefined;
}

/**
 * @param skip records before the first one. @param limit records at most.
 * @throws HoldfastError `NotFound`, code `no_such_epoch`.
 */
export async function listReceipts(
  folder: Folder,
  epoch: number,
  { skip, limit }: { readonly skip: number; readonly limit: number },
): Promise<ReceiptsPage> {
  await requireEpoch(folder, epoch);
  const found: FoundReceipt[] = [];
  let seen = 0;
  const look = (one: FoundReceipt): void => {
    // What is kept of it must not keep its whole file.
    if (seen >= skip && found.length < limit) found.push({ ...one, bytes: one.bytes.slice() });
    seen++;
  };
  await visitEpoch(folder, epoch, look, () => seen > skip + limit);
  return { found, next: seen > skip + limit ? skip + limit : undefined };
}

/**
 * The record of a read or an execution. @param id in hex. @param at the epoch that it is looked for in; default: all.
 * @throws HoldfastError `NotFound`, code `no_such_receipt`.
 */
export async function findReceipt(
  folder: Folder,
  id: string,
  { epoch: only, signal }: { readonly epoch?: number; readonly signal?: AbortSignal } = {},
): Promise<FoundReceipt> {
  const { folders } = await listEpochs(folder.files, folder.folder);
  let found: FoundReceipt | undefined;
  for (const epoch of [...folders].reverse()) {
    if (only !== undefined && epoch !== only) continue;
    const look = (one: FoundReceipt): void => {
      const its = idOf(one.receipt);
      if (its !== undefined && toHex(its) === id) found ??= one;
    };
    await visitEpoch(folder, epoch, look, () => found !== undefined || signal?.aborted === true);
    signal?.throwIfAborted();
    if (found !== undefined) return found;
  }
  throw new HoldfastError('NotFound', `no receipt here has the id ${id}`, {
    code: 'no_such_receipt',
    hint: 'An id is 64 hex digits, of an execution 32. What is not written down yet has no proof.',
  });
}

/**
 * That a record is in the tree of its epoch's root; one file is read for it.
 * @throws HoldfastError `NotFound`, code `no_such_epoch`, while the epoch has no root.
 */
export async function proveReceipt(folder: Folder, found: FoundReceipt): Promise<Uint8Array> {
  const { bytes: root, root: decoded } = await loadRoot(folder, found.epoch);
  const hash = blake3Tree(folder.blake3);
  const leaves: Uint8Array[] = [];
  const path = filePath(folder.folder, found.epoch, found.seq);
  scanFile(
    folder.blake3,
    (await folder.files.read(path, MAX_FILE_BYTES)) ?? new Uint8Array(0),
    ({ bytes }) => {
      leaves.push(hash.leaf(bytes));
    },
  );
  return encodeProof({
    index: found.seq * RECORDS_PER_FILE + found.index,
    path: [
      ...proveInclusion(hash, leaves, found.index),
      ...proveInclusion(hash, decoded.subtrees, found.seq),
    ],
    record: found.bytes,
    root,
  });
}

export interface ProofVerdict {
  readonly holds: boolean;
  /** Why it does not. */
  readonly why: string | undefined;
  readonly receipt: Receipt;
  readonly root: EpochRoot;
}

/** @throws HoldfastError `Corrupt`, code `receipt_malformed`. */
export async function verifyProof(
  proof: InclusionProof,
  {
    blake3,
    ed25519,
    gateway,
  }: Pick<Folder, 'blake3'> & { readonly ed25519: Ed25519; readonly gateway?: Uint8Array | undefined },
): Promise<ProofVerdict> {
  const root = decodeRoot(proof.root);
  const receipt = decodeReceipt(proof.record);
  const hash = blake3Tree(blake3);
  const { index, path } = proof;
  const place = { index, size: root.count, leaf: hash.leaf(proof.record), path, root: root.root };
  let why: string | undefined;
  if (!isRootSigned(root, ed25519)) why = 'the signature of the root is not valid';
  else if (gateway !== undefined && !equalBytes(gateway, root.gateway))
    why = 'the root is of another gateway';
  else if (!equalBytes(receipt.gateway, root.gateway)) why = 'the receipt is of another gateway';
  else if (!(await isSignedRight(receipt, proof.record, ed25519)))
    why = 'the signature of the receipt is not valid';
  else if (!verifyInclusion(hash, place)) why = 'the path does not lead from the receipt to the root';
  return { holds: why === undefined, why, receipt, root };
}

/** What receipts come to by something that they name. */
export interface GroupTotals {
  readonly name: string;
  readonly reads: number;
  readonly signed: number;
  readonly bytes: number;
  readonly signedBytes: number;
}

export type GroupBy = 'provider' | 'manifest' | 'domain';

/** Groups that are told apart; the others are one, named `…`. */
const MAX_GROUPS = 100_000;

/**
 * Allowed reads of an epoch by provider, manifest or domain, the most bytes first.
 * @throws HoldfastError `NotFound`, code `no_such_epoch`.
 */
export async function groupReads(folder: Folder, epoch: number, by: GroupBy): Promise<GroupTotals[]> {
  await requireEpoch(folder, epoch);
  const groups = new Map<string, { reads: number; signed: number; bytes: number; signedBytes: number }>();
  await visitEpoch(folder, epoch, ({ receipt }) => {
    if (receipt.kind !== 'read' || !receipt.allowed) return;
    const named = by === 'manifest' ? `b3:${toHex(receipt.manifest)}` : receipt[by];
    const name = groups.size < MAX_GROUPS || groups.has(named) ? named : '…';
    const group = entryOf(groups, name, () => ({ reads: 0, signed: 0, bytes: 0, signedBytes: 0 }));
    group.reads++;
    group.bytes += receipt.bytes;
    if (receipt.sig === undefined) return;
    group.signed++;
    group.signedBytes += receipt.bytes;
  });
  return [...groups].map(([name, totals]) => ({ name, ...totals })).sort((a, b) => b.bytes - a.bytes);
}
