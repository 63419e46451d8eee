import { join } from 'node:path';
import { accelerationFrom } from '../core/acceleration.ts';
import { toHex, utf8Encode } from '../core/bytes.ts';
import { systemClock } from '../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { checkOptions } from '../core/options.ts';
import { secureRandom } from '../core/random.ts';
import { holdFolder } from '../engine/index.ts';
import type { Anchor } from '../receipts/anchors/anchor.ts';
import { openLocalAnchor } from '../receipts/anchors/local.ts';
import { diskLogFiles } from '../receipts/anchors/log-files.ts';
import type { LogMemory } from '../receipts/anchors/log-memory.ts';
import {
  isKeyName,
  type NoteSigner,
  parseSignerKey,
  sha256,
  signerKey,
  textIn,
  verifierKey,
} from '../receipts/anchors/note.ts';
import type { Ed25519 } from '../receipts/ed25519/ed25519.ts';
import { selectEd25519 } from '../receipts/ed25519/select.ts';
import { diskFiles } from '../receipts/log/disk.ts';
import { timelyFiles } from '../receipts/log/files.ts';

export interface OpenAnchorOptions {
  /** Made where there is none, with the log's own key in it. What is in `public/` may be given to anybody. */
  readonly folder: string;
  /**
   * Name of the log, best an address without a scheme under which others find it: no spaces and no plus. It is for ever.
   * Default: one made of the key.
   */
  readonly origin?: string | undefined;
}

/**
 * A log of roots in a folder of this machine, in formats that others' tools and witnesses read.
 * Other processes may write to it in turn.
 * @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`); `Conflict`, code `anchor_shared`, where another
 * process keeps the folder for more than five seconds; `Corrupt`, code `anchor_log_damaged` or `bad_key_file`.
 */
export function openAnchor(options: OpenAnchorOptions): Promise<Anchor> {
  return openLog(options);
}

/** The same. @param memory of who opens it: an older copy of a log is refused then, `Corrupt`, code `anchor_log_older`. */
export async function openLog(options: OpenAnchorOptions, memory?: LogMemory): Promise<Anchor> {
  checkOptions<OpenAnchorOptions>('openAnchor', options, { folder: true, origin: true });
  const { folder, origin } = options;
  if (origin !== undefined && !isKeyName(origin))
    throw badOrigin(origin, 'cannot be one: it is empty or long, or has a space or a plus');
  const ed25519 = await selectEd25519(accelerationFrom(process.env));
  const hold = (signal?: AbortSignal): Promise<() => Promise<void>> => holdLog(folder, signal);
  const release = await hold();
  const key = await prepared(options, ed25519).finally(release);
  const parts = { files: diskLogFiles(folder, systemClock), folder: join(folder, 'public'), key, ed25519 };
  return openLocalAnchor({ ...parts, clock: systemClock, hold, memory });
}

/** The log's key; its public half lies beside the log. */
async function prepared({ folder, origin }: OpenAnchorOptions, ed25519: Ed25519): Promise<NoteSigner> {
  const key = await logKey(folder, origin, ed25519);
  if (origin !== undefined && origin !== key.name)
    throw badOrigin(origin, `is not that of the log, ${key.name}`);
  const files = diskLogFiles(folder, systemClock);
  await files.place(join(folder, 'public', 'log.vkey'), utf8Encode(`${verifierKey(key)}\n`));
  return key;
}

const badOrigin = (origin: string, why: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', `the origin ${JSON.stringify(origin)} of a log ${why}`, {
    code: 'bad_option',
    hint: 'A log keeps its origin; another one needs another folder.',
  });

/** Others keep it for as long as they write, and a second more. */
const HOLD_MS = 5_000;
const TRY_EVERY_MS = 50;

async function holdLog(folder: string, signal?: AbortSignal): Promise<() => Promise<void>> {
  for (const endMs = systemClock.monotonic() + HOLD_MS; ; ) {
    try {
      return await holdFolder(join(folder, '.lock'));
    } catch (error) {
      if (!isHoldfastError(error) || error.code !== 'engine_locked') throw error;
      if (systemClock.monotonic() >= endMs)
        throw new HoldfastError('Conflict', `another process has the log in ${folder}`, {
          code: 'anchor_shared',
          hint: 'It writes for so long, or it hangs. What is to be anchored waits.',
          cause: error,
        });
      await systemClock.sleep(TRY_EVERY_MS, signal);
    }
  }
}

async function logKey(folder: string, origin: string | undefined, ed25519: Ed25519): Promise<NoteSigner> {
  const path = join(folder, 'log.key');
  const files = timelyFiles(diskFiles, systemClock);
  const found = await files.read(path, 1_024);
  if (found !== undefined) {
    const text = textIn(found);
    const key = text?.endsWith('\n') ? parseSignerKey(text.slice(0, -1), ed25519) : undefined;
    if (key !== undefined) return key;
  }
  const names = await files.list(join(folder, 'public'));
  if (found !== undefined || names.length > 0)
    throw new HoldfastError('Corrupt', `${path} is no key of a log`, {
      code: 'bad_key_file',
      hint: 'Restore it from a backup. Without it nothing can be added to this log; it can still be verified.',
    });
  const seed = secureRandom(32);
  const signer = ed25519.signer(seed);
  const name = origin ?? `holdfast-log/${toHex(sha256(signer.publicKey)).slice(0, 16)}`;
  const key = { name, publicKey: signer.publicKey, signer };
  await files.place(path, utf8Encode(`${signerKey(key, seed)}\n`));
  return key;
}
