import { randomInt } from 'node:crypto';
import { open, stat, unlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Level } from 'level';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { makeFolders } from '../../core/files.ts';
import type { BatchOp } from '../engine.ts';
import { encodeRecord, recordKey } from '../record.ts';
import { levelFailure } from './failure.ts';
import { hasGap, isBeheaded } from './gaps.ts';
import { refuseMoved } from './mark.ts';

export type Database = Level<Uint8Array, Uint8Array>;

/** Left in the folder by a process that waits for the lock; whoever holds it takes the file away and makes room. */
const WAITING_FILE = 'WAITING';
/** Left in the folder while it is known that something is missing and the database does not say so yet. */
const INCOMPLETE_FILE = 'INCOMPLETE';
/** Pause between two attempts at the lock, drawn anew each time so that waiters do not march in step. */
const RETRY_MS = { min: 5, max: 25 } as const;

export interface OpenRequest {
  readonly location: string;
  readonly clock: Clock;
  readonly lockWaitMs: number;
  /** Written, flushed, before anything else when writes are missing that others follow. */
  readonly ifIncomplete?: BatchOp | undefined;
  /** True: whoever moves the records opens it. */
  readonly moving?: boolean | undefined;
  readonly signal: AbortSignal;
}

/**
 * Opens the database, waiting at most `lockWaitMs` for a process that has it open.
 * @throws Unavailable, code `engine_locked`, when the wait is over, or `engine_moved`; Aborted; Corrupt; QuotaExceeded; PermissionDenied.
 */
export async function openDatabase(request: OpenRequest): Promise<Database> {
  const { location, clock, lockWaitMs, ifIncomplete, moving, signal } = request;
  const deadline = clock.monotonic() + lockWaitMs;
  if (moving !== true) await refuseMoved(location);
  if (await isBeheaded(location)) throw levelFailure(new Error('Corruption: CURRENT is missing'), location);
  if (ifIncomplete !== undefined && (await hasGap(location))) await leaveMark(location);
  for (;;) {
    if (moving !== true) await refuseMoved(location);
    const failure = await openOnce(location);
    if (!(failure instanceof HoldfastError)) {
      if (ifIncomplete !== undefined) await heedMark(failure, location, ifIncomplete);
      return failure;
    }
    const left = deadline - clock.monotonic();
    if (failure.code !== 'engine_locked') throw failure;
    if (left <= 0) throw failure.with({ context: { waitedMs: lockWaitMs } });
    await announceWaiting(location);
    await clock.sleep(Math.min(left, randomInt(RETRY_MS.min, RETRY_MS.max)), signal);
  }
}

/** Required, not imported: of CommonJS an import reads every file twice, first to find out what it exports. */
function loadLevel(): typeof Level {
  try {
    return (createRequire(import.meta.url)('level') as { Level: typeof Level }).Level;
  } catch (error) {
    throw new HoldfastError('Unavailable', 'LevelDB cannot be loaded on this machine', {
      code: 'engine_unsupported',
      status: 'permanent',
      hint: 'Reinstall the dependencies for this platform, or set engine.default to another engine.',
      cause: error,
    });
  }
}

/** Opens the database, or says why not, without waiting: `engine_locked` when somebody has it. */
export async function openOnce(location: string): Promise<Database | HoldfastError> {
  const Database = loadLevel();
  try {
    await makeFolders(location, 0o700);
    const database: Database = new Database(location, { keyEncoding: 'view', valueEncoding: 'view' });
    await database.open();
    return database;
  } catch (error) {
    return levelFailure(error, location);
  }
}

/** LevelDB forgets what it passed over as soon as it is open; the mark outlives a crash until the database itself tells. */
async function leaveMark(location: string): Promise<void> {
  try {
    const file = await open(join(location, INCOMPLETE_FILE), 'w', 0o600);
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw levelFailure(error, location);
  }
}

async function heedMark(database: Database, location: string, { table, key, value }: BatchOp): Promise<void> {
  const mark = join(location, INCOMPLETE_FILE);
  if (!(await isThere(mark))) return;
  try {
    const stored = recordKey(table, key);
    await database.put(stored, encodeRecord(stored, value!), { sync: true } as object);
    await unlink(mark);
  } catch (error) {
    await database.close().catch(() => {});
    throw levelFailure(error, location);
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** A hint only: without it the waiter still gets its turn when the holder falls idle. */
async function announceWaiting(location: string): Promise<void> {
  await writeFile(join(location, WAITING_FILE), '').catch(() => {});
}

/** Opening the database makes files, so whoever else had it open has changed its folder. */
export async function folderRevision(location: string): Promise<string | undefined> {
  const found = await stat(location, { bigint: true }).catch(() => undefined);
  return found === undefined ? undefined : `${found.ino}:${found.mtimeNs}`;
}

/** True once per announcement: another process has been waiting since this was last asked. */
export async function takeWaiting(location: string): Promise<boolean> {
  try {
    await unlink(join(location, WAITING_FILE));
    return true;
  } catch {
    return false;
  }
}
