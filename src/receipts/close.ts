import { equalBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Signer } from './ed25519/ed25519.ts';
import { listEpochs, rootPath } from './log/folder.ts';
import { cutTorn, damaged, type Place } from './log/load.ts';
import type { ReceiptLog } from './log/log.ts';
import { EPOCH_MS } from './records/grants.ts';
import { decodeRoot, type EpochRoot, encodeRoot, type PreviousRoot } from './records/root.ts';
import { type EpochSums, sumEpoch } from './sums.ts';

/** So long after its end an epoch is closed at the earliest; so long are reads of it acknowledged. */
export const GRACE_MS: number = 5 * 60_000;
/** Of a root. */
export const MAX_ROOT_BYTES: number = 1024 ** 2;

export interface CloseOptions extends Place {
  readonly log: Pick<ReceiptLog, 'seal' | 'booking'>;
  readonly signer: Signer;
  /** Goes through an epoch's records, on another thread: a million take seconds. Default: on this one. */
  readonly sum?: ((epoch: number, signal?: AbortSignal) => Promise<EpochSums>) | undefined;
  /** Looked at between epochs. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives every epoch its root that is over, in order. Done again, or by two at once, it changes nothing: a root that is
 * there stands for ever.
 * @param now milliseconds since the Unix epoch.
 * @returns those that are new.
 * @throws HoldfastError `Corrupt`, code `receipts_damaged`; those before it are closed.
 */
export async function closeDue(options: CloseOptions, now: number): Promise<EpochRoot[]> {
  const { log, signal } = options;
  const { folders, roots } = await listEpochs(options.files, options.folder);
  const newest = roots.at(-1) ?? -1;
  const made: EpochRoot[] = [];
  // One before the newest root has none and gets none: each names the one before it.
  for (const epoch of folders.filter((one) => one > newest && one < log.booking())) {
    signal?.throwIfAborted();
    if ((epoch + 1) * EPOCH_MS + GRACE_MS > now) break;
    await log.seal(epoch);
    const root = await closeEpoch(options, epoch);
    if (root !== undefined) made.push(root);
  }
  return made;
}

/** Undefined where it has no record, or where another was first. */
async function closeEpoch(options: CloseOptions, epoch: number): Promise<EpochRoot | undefined> {
  const { files, folder, signer, signal, sum = (one) => sumEpoch(options, one) } = options;
  const { subtrees, root, totals, gateway, end } = await sum(epoch, signal);
  if (end.tornBytes > 0) await cutTorn(options, epoch, end);
  if (totals.count === 0) return undefined;
  if (gateway === undefined || !equalBytes(gateway, signer.publicKey))
    throw damaged(options, epoch, '', 'its records are of another gateway');
  const previous = await previousRoot(options, epoch);
  const encoded = encodeRoot(
    { ...totals, gateway: signer.publicKey, epoch, root, subtrees, previous },
    signer,
  );
  // What cannot be read again must not be there for ever.
  const decoded = decodeRoot(encoded);
  return (await files.place(rootPath(folder, epoch), encoded)) ? decoded : undefined;
}

async function previousRoot(
  { files, folder, blake3 }: Place,
  epoch: number,
): Promise<PreviousRoot | undefined> {
  const { roots } = await listEpochs(files, folder);
  const before = roots.filter((one) => one < epoch).at(-1);
  if (before === undefined) return undefined;
  const bytes = await files.read(rootPath(folder, before), MAX_ROOT_BYTES);
  if (bytes === undefined) throw missingRoot(before);
  return { epoch: before, digest: blake3.hash(bytes) };
}

/** The root of an epoch. @throws HoldfastError `NotFound`, code `no_such_epoch`; `Corrupt`, code `receipt_malformed`. */
export async function loadRoot(
  { files, folder }: Pick<Place, 'files' | 'folder'>,
  epoch: number,
): Promise<{
  readonly bytes: Uint8Array;
  readonly root: EpochRoot;
}> {
  const bytes = await files.read(rootPath(folder, epoch), MAX_ROOT_BYTES);
  if (bytes === undefined) throw missingRoot(epoch);
  return { bytes, root: decodeRoot(bytes) };
}

const missingRoot = (epoch: number): HoldfastError =>
  new HoldfastError('NotFound', `there is no root of epoch ${epoch}`, {
    code: 'no_such_epoch',
    hint: 'See `holdfast receipts list`. An epoch gets its root five minutes after its end.',
  });
