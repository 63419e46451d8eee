import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { accelerationFrom } from '../core/acceleration.ts';
import { selectBlake3ByLength } from '../core/b3/select.ts';
import { equalBytes, fromHex, toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { checkOptions } from '../core/options.ts';
import { secureRandom } from '../core/random.ts';
import { holdFolder } from '../engine/index.ts';
import { createReceiptThreads, receiptsScript } from '../receipts/apart/threads.ts';
import { type AuditReport, auditEpoch } from '../receipts/audit.ts';
import { type DeskOptions, openReceiptDesk, type ReceiptDesk } from '../receipts/desk.ts';
import type { Ed25519 } from '../receipts/ed25519/ed25519.ts';
import { selectEd25519 } from '../receipts/ed25519/select.ts';
import { type ProofVerdict, verifyProof } from '../receipts/inspect.ts';
import { diskFiles } from '../receipts/log/disk.ts';
import { type ReceiptFiles, timelyFiles } from '../receipts/log/files.ts';
import { listEpochs } from '../receipts/log/folder.ts';
import type { Place } from '../receipts/log/load.ts';
import { createReceiptReader, type ReceiptReader } from '../receipts/reader.ts';
import { type AckOutcome, createReceiptFetch, type ReceiptFetch } from '../receipts/receipt-fetch.ts';
import { decodeProof } from '../receipts/records/root.ts';

/** Of those that check signatures: a gateway has more to do. */
const MAX_THREADS = 4;

/** What works on a folder of receipts. */
export async function receiptParts(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Place & { readonly ed25519: Ed25519 }> {
  const acceleration = accelerationFrom(env);
  const [blake3, ed25519] = await Promise.all([
    selectBlake3ByLength(acceleration),
    selectEd25519(acceleration),
  ]);
  return { files: timelyFiles(diskFiles, systemClock), folder, blake3, ed25519 };
}

export interface OpenReceiptsOptions {
  /** Made where there is none, with a file of its own key in it. One gateway's alone. */
  readonly folder: string;
  /** Records that wait for the disk. Default 16,384. */
  readonly maxWaiting?: number | undefined;
  /** Records of one hour, 16 bytes of memory each. Default 8,388,608; at most 33,554,432. */
  readonly maxRecords?: number | undefined;
  /** Denied reads a second that are written down one by one. Default 50. */
  readonly denialsPerSecond?: number | undefined;
}

/**
 * The receipts of a gateway: issues ids of reads, takes acknowledgements, closes the hours.
 * @throws HoldfastError `ConfigInvalid` (`unknown_option`); `Conflict`, code `receipts_shared`, while another process has
 * the folder; `Corrupt`, code `receipts_damaged` or `bad_key_file`.
 */
export async function openReceipts(options: OpenReceiptsOptions): Promise<ReceiptDesk> {
  checkOptions<OpenReceiptsOptions>('openReceipts', options, {
    folder: true,
    maxWaiting: true,
    maxRecords: true,
    denialsPerSecond: true,
  });
  const release = await hold(options.folder);
  try {
    const key = await gatewayKey(options.folder);
    const files = filesWith(options.folder, key);
    return await openThreadedDesk({ ...options, key, files, clock: systemClock, release });
  } catch (error) {
    await release();
    throw error;
  }
}

/** The desk of a folder, which leaves to threads what takes long. */
export async function openThreadedDesk(
  options: Pick<DeskOptions, 'key' | 'clock' | 'release'> &
    OpenReceiptsOptions &
    Partial<Pick<Place, 'files'>>,
): Promise<ReceiptDesk> {
  const { clock, release, files = diskFiles } = options;
  const parts = {
    ...(await receiptParts(options.folder, process.env)),
    files: timelyFiles(files, clock),
  };
  const acceleration = accelerationFrom(process.env);
  const threads = createReceiptThreads({
    ...{ ...parts, acceleration, clock },
    // One core is left to the thread that serves reads.
    threads: Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1)),
    script: receiptsScript(),
  });
  const ed25519 = { ...parts.ed25519, verifyApart: threads.verifyApart };
  const end = async (): Promise<void> => {
    await threads.close();
    await release?.();
  };
  try {
    return await openReceiptDesk({
      ...{ ...options, ...parts, ed25519, random: secureRandom },
      ...{ know: threads.know, sum: threads.sum, release: end },
    });
  } catch (error) {
    await threads.close();
    throw error;
  }
}

async function hold(folder: string): Promise<() => Promise<void>> {
  try {
    return await holdFolder(join(folder, '.lock'));
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    const isFull = error.kind === 'QuotaExceeded';
    if (error.code !== 'engine_locked')
      throw new HoldfastError(
        isFull ? 'QuotaExceeded' : 'PermissionDenied',
        `the receipts in ${folder} cannot be written to`,
        {
          code: isFull ? 'disk_full' : 'access_denied',
          hint: 'Give the gateway a folder on a disk that it may write to. To look at receipts, no gateway is needed.',
          cause: error,
        },
      );
    throw new HoldfastError('Conflict', `another process has the receipts in ${folder}`, {
      code: 'receipts_shared',
      hint: 'Give each gateway a folder of its own.',
      cause: error,
    });
  }
}

/** 64 hex digits and a line feed. */
const KEY_FILE = /^[0-9a-f]{64}\n$/;

async function gatewayKey(folder: string): Promise<Uint8Array> {
  const path = keyPath(folder);
  const files = timelyFiles(diskFiles, systemClock);
  const found = await files.read(path, MAX_KEY_BYTES);
  if (found === undefined) {
    const { folders, roots } = await listEpochs(files, folder);
    if (folders.length > 0 || roots.length > 0)
      throw badKey(`${path}, which made the receipts there, is missing`);
    const key = secureRandom(32);
    if (await files.place(path, keyText(key))) return key;
    return gatewayKey(folder);
  }
  const text = utf8Decode(found);
  if (KEY_FILE.test(text)) return fromHex(text.slice(0, 64));
  throw badKey(`${path} is no key of a gateway`);
}

const MAX_KEY_BYTES = 1_024;
const keyPath = (folder: string): string => join(folder, 'gateway.key');
const keyText = (key: Uint8Array): Uint8Array => utf8Encode(`${toHex(key)}\n`);

const badKey = (why: string): HoldfastError =>
  new HoldfastError('Corrupt', why, {
    code: 'bad_key_file',
    hint: 'Restore it from a backup, or name another folder. Without it, nothing can be written to these receipts; they can still be audited.',
  });

/** Files of a gateway that opens none in a folder which is its own no more: it was deleted, or another took its name. */
function filesWith(folder: string, key: Uint8Array): ReceiptFiles {
  return {
    ...diskFiles,
    async open(path) {
      const found = await diskFiles.read(keyPath(folder), MAX_KEY_BYTES);
      if (found === undefined || !equalBytes(found, keyText(key)))
        throw new HoldfastError(
          'PermissionDenied',
          `${folder} is not the folder any more that it was at the start`,
          {
            code: 'access_denied',
            hint: 'Put it back, or start the gateway again.',
          },
        );
      return diskFiles.open(path);
    },
  };
}

/** Who acknowledges reads. */
export async function openReceiptReader(): Promise<ReceiptReader> {
  const ed25519 = await selectEd25519(accelerationFrom(process.env));
  return createReceiptReader({ ed25519, clock: systemClock, random: secureRandom });
}

export interface ReceiptFetchOptions {
  /** Default: the one of this program. */
  readonly fetch?: typeof globalThis.fetch | undefined;
  /** Told of every acknowledgement when it is decided. Must not throw. */
  readonly onAck?: ((outcome: AckOutcome) => void) | undefined;
}

/**
 * A `fetch` that acknowledges to gateways what it read from them, with a key of this program that changes every hour.
 * @throws HoldfastError `ConfigInvalid` (`unknown_option`).
 */
export async function openReceiptFetch(options: ReceiptFetchOptions = {}): Promise<ReceiptFetch> {
  checkOptions<ReceiptFetchOptions>('openReceiptFetch', options, { fetch: true, onAck: true });
  const { fetch = globalThis.fetch, onAck } = options;
  return createReceiptFetch({ reader: await openReceiptReader(), fetch, clock: systemClock, onAck });
}

export interface CheckOptions {
  /** The gateway's public key, where it is known from elsewhere. Otherwise who signed is for the caller to judge. */
  readonly gateway?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Recomputes an epoch from copied files alone.
 * @throws HoldfastError `NotFound`, code `no_such_epoch`; what the file system throws.
 */
export async function auditReceipts(
  folder: string,
  epoch: number,
  options: CheckOptions = {},
): Promise<AuditReport> {
  return auditEpoch({ ...(await receiptParts(folder, process.env)), ...options }, epoch);
}

/**
 * Whether a record is in a signed root, by a file that `holdfast receipts prove` wrote.
 * @throws HoldfastError `Corrupt`, code `receipt_malformed`.
 */
export async function verifyReceiptProof(
  proof: Uint8Array,
  options: CheckOptions = {},
): Promise<ProofVerdict> {
  return verifyProof(decodeProof(proof), { ...(await receiptParts('', process.env)), ...options });
}
