import { createHash } from 'node:crypto';
import { readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { engineClosed } from '../check.ts';
import { type Database, openOnce } from './connection.ts';

export type OwnerStanding = 'alive' | 'dead' | 'unknown';

/** Who works on a state, and which of them are proven dead: never by a process id or a host name alone. */
export interface Owners {
  /** This run's name. Resolves once the system would tell others of its death. */
  current(): Promise<string>;
  /** Unknown: it holds no lock that can be tried, or this state is a copy of the one that it works on. */
  standing(owner: string): Promise<OwnerStanding>;
  /** This machine, since it was started: 16 hex digits. */
  host(): Promise<string>;
  /** Removes what dead owners left behind, except of those that are still named. */
  tidy(named: ReadonlySet<string>): Promise<void>;
  close(): Promise<void>;
}

export interface OwnerLockOptions {
  /** Folder of the locks, beside the database that they are about. */
  readonly folder: string;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** `<run>-<process>`: which process it is in is known without touching its lock. */
const OWNER = /^[0-9a-f]{16}-[0-9a-f]{16}$/;
/** A folder that is younger may be on its way to its lock. */
const MIN_AGE_MS = 10 * 60_000;
/** Beside the lock: where its folder is, which a copy of it cannot be. */
const PLACE_FILE = 'place';
const MAX_TIDIED = 64;

/**
 * Each owner holds a LevelDB of its own open, for the lock on it: the system lets go of it when the process ends however
 * it ends, it is seen from other threads, containers and (where the file system has locks) hosts, and nothing of it can be
 * mistaken for another's, as a process id can.
 */
export function createOwnerLocks(options: OwnerLockOptions): Owners {
  return new OwnerLocks(options);
}

class OwnerLocks implements Owners {
  readonly #options: OwnerLockOptions;
  #held: Promise<{ readonly name: string; readonly database: Database }> | undefined;
  #closed = false;

  constructor(options: OwnerLockOptions) {
    this.#options = options;
  }

  async current(): Promise<string> {
    if (this.#closed) throw engineClosed();
    this.#held ??= this.#take();
    return (await this.#held).name;
  }

  async standing(owner: string): Promise<OwnerStanding> {
    if (!OWNER.test(owner)) return 'unknown';
    const path = this.#pathOf(owner);
    if ((await modifiedMs(path)) === undefined) return 'dead';
    // Trying the lock of one's own process would let go of it: a POSIX lock ends with any handle of the file.
    if (owner.endsWith(await thisProcess())) return 'alive';
    const standing = await this.#tryLock(owner);
    // A lock that is held is the owner's own, wherever its folder seems to be: not all file systems keep their numbers.
    return standing === 'dead' && (await isCopy(path)) ? 'unknown' : standing;
  }

  host(): Promise<string> {
    return thisHost();
  }

  async tidy(named: ReadonlySet<string>): Promise<void> {
    const mine = await thisProcess();
    const names = await readdir(this.#options.folder).catch(() => []);
    const old = this.#options.clock.now() - MIN_AGE_MS;
    let tidied = 0;
    for (const name of names) {
      if (!OWNER.test(name) || named.has(name) || name.endsWith(mine)) continue;
      const modified = await modifiedMs(this.#pathOf(name));
      if (modified === undefined || modified > old || (await this.#tryLock(name)) !== 'dead') continue;
      await rm(this.#pathOf(name), { recursive: true, force: true });
      if (++tidied === MAX_TIDIED) return;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const held = await this.#held?.catch(() => undefined);
    if (held === undefined) return;
    this.#held = undefined;
    await held.database.close();
    // What was done is done: a lock that is free tells of the end too, and a later run takes the folder away.
    await rm(this.#pathOf(held.name), { recursive: true, force: true }).catch(() => {});
  }

  async #take(): Promise<{ readonly name: string; readonly database: Database }> {
    const name = `${toHex(this.#options.random(8))}-${await thisProcess()}`;
    const database = await openOnce(this.#pathOf(name));
    if (database instanceof HoldfastError) throw database;
    const path = this.#pathOf(name);
    // Without it a copy is taken for the original, as those of earlier versions are.
    await writeFile(join(path, PLACE_FILE), await placeOf(path)).catch(() => {});
    return { name, database };
  }

  /** A damaged database has been locked before it was found to be so. */
  async #tryLock(owner: string): Promise<OwnerStanding> {
    const database = await openOnce(this.#pathOf(owner));
    if (database instanceof HoldfastError) {
      if (database.code === 'engine_locked') return 'alive';
      return isHoldfastError(database, 'Corrupt') ? 'dead' : 'unknown';
    }
    await database.close();
    return 'dead';
  }

  #pathOf(owner: string): string {
    return join(this.#options.folder, owner);
  }
}

/** Undefined only where it is certain that there is no such folder. */
async function modifiedMs(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    return Number.POSITIVE_INFINITY;
  }
}

/** Its device is told apart only until the machine is started anew: some are numbered in the order in which they come. */
async function placeOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${await thisHost()} ${dev} ${ino}`;
}

/** Whether a lock's folder came here with a copy of the state: then its owner may be alive elsewhere, and its lock free. */
async function isCopy(path: string): Promise<boolean> {
  try {
    const [host, dev, ino] = (await readFile(join(path, PLACE_FILE), 'utf8')).split(' ');
    const [hereHost, hereDev, hereIno] = (await placeOf(path)).split(' ');
    return ino !== undefined && (ino !== hereIno || (host === hereHost && dev !== hereDev));
  } catch {
    return false;
  }
}

let processKnown: Promise<string> | undefined;
let hostKnown: Promise<string> | undefined;

/** The same for all threads of this process, and for no other process: 16 hex digits. */
function thisProcess(): Promise<string> {
  processKnown ??= identifyProcess().then(shortHash);
  return processKnown;
}

/** The boot of this machine, or its name: 16 hex digits. */
export function thisHost(): Promise<string> {
  hostKnown ??= bootId()
    .catch(() => hostname())
    .then(shortHash);
  return hostKnown;
}

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 16);

const bootId = async (): Promise<string> =>
  (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();

/** Boot, process namespace and start time tell equal ids apart; where there is no `/proc`, the host's name has to do. */
async function identifyProcess(): Promise<string> {
  try {
    const boot = await bootId();
    const namespace = await readlink('/proc/self/ns/pid');
    const fields = await readFile('/proc/self/stat', 'utf8');
    const started = fields.slice(fields.lastIndexOf(')') + 2).split(' ')[19];
    return [boot, namespace, process.pid, started].join('\n');
  } catch {
    return [hostname(), process.pid].join('\n');
  }
}
