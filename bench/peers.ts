import { basename, dirname, join } from 'node:path';
import { contentOf, freshFolder, removeFolder } from './holdfast.ts';
import { MIB } from './numbers.ts';
import { installed, measure, type ProcessRun } from './processes.ts';

const RANGE = MIB / 16;
const SECRET = 'a passphrase';

/** Another program that encrypts and stores, without redundancy. Each works on one file in an empty folder. */
export interface Peer {
  readonly name: string;
  readonly programs: readonly string[];
  prepare(dir: string): Promise<PeerVault>;
}

export interface PeerVault {
  put(file: string): Promise<ProcessRun>;
  /** To nowhere, as with us. */
  get(): Promise<ProcessRun>;
  /** 64 KiB from the middle; those that cannot start there read what comes before it. */
  range(size: number): Promise<ProcessRun>;
  storedBytes(): Promise<number>;
  remove(): Promise<void>;
}

export const PEERS: readonly Peer[] = [
  { name: 'rclone crypt', programs: ['rclone'], prepare: rclone },
  { name: 'restic plain', programs: ['restic'], prepare: (dir) => restic(dir, 'off') },
  { name: 'restic zstd', programs: ['restic'], prepare: (dir) => restic(dir, 'auto') },
  { name: 'borg lz4', programs: ['borg'], prepare: borg },
  { name: 'tar | zstd | chacha20', programs: ['tar', 'zstd', 'openssl'], prepare: pipeline },
];

export const present = (peer: Peer): boolean => peer.programs.every(installed);

/** What all have in common. @param more folders of theirs beside the data. */
const place = (dir: string, ...more: string[]): Pick<PeerVault, 'storedBytes' | 'remove'> => ({
  storedBytes: async () => (await contentOf(dir)).bytes,
  async remove() {
    for (const folder of [dir, ...more]) await removeFolder(folder);
  },
});

/** Runs a line of the shell, whose output goes nowhere. */
const shell = (line: string, env: Record<string, string>, ...args: string[]): Promise<ProcessRun> =>
  measure('bash', ['-c', line, 'bench', ...args], { env, discard: true });

/** Passes on 64 KiB from the middle of what a line of the shell prints, and stops it there. */
const middleOf = (line: string, size: number, env: Record<string, string>, ...args: string[]) =>
  shell(`${line} 2>/dev/null | tail -c +${Math.floor(size / 2)} | head -c ${RANGE}`, env, ...args);

async function rclone(parent: string): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'rclone');
  const { stdout } = await measure('rclone', ['obscure', SECRET]);
  const env = {
    RCLONE_CONFIG: `${dir}.conf`,
    RCLONE_CONFIG_BENCH_TYPE: 'crypt',
    RCLONE_CONFIG_BENCH_REMOTE: dir,
    RCLONE_CONFIG_BENCH_PASSWORD: stdout.trim(),
  };
  const cat = (...args: string[]): Promise<ProcessRun> =>
    measure('rclone', ['cat', ...args, 'bench:object'], { env, discard: true });
  return {
    put: (file) => measure('rclone', ['copyto', file, 'bench:object'], { env }),
    get: () => cat(),
    range: (size) => cat('--offset', String(Math.floor(size / 2)), '--count', String(RANGE)),
    ...place(dir),
  };
}

async function restic(parent: string, compression: 'off' | 'auto'): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'restic');
  const cache = `${dir}-cache`;
  const env = {
    RESTIC_PASSWORD: SECRET,
    RESTIC_REPOSITORY: dir,
    RESTIC_CACHE_DIR: cache,
    RESTIC_COMPRESSION: compression,
  };
  await measure('restic', ['init', '-q'], { env });
  let stored = '';
  return {
    put(file) {
      stored = file;
      return measure('restic', ['backup', '-q', file], { env });
    },
    get: () => measure('restic', ['dump', 'latest', stored], { env, discard: true }),
    range: (size) => middleOf('restic dump latest "$1"', size, env, stored),
    ...place(dir, cache),
  };
}

async function borg(parent: string): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'borg');
  const base = `${dir}-base`;
  const env = { BORG_PASSPHRASE: SECRET, BORG_BASE_DIR: base, BORG_REPO: join(dir, 'repo') };
  await measure('borg', ['init', '-e', 'repokey-blake2'], { env });
  return {
    put: (file) => measure('borg', ['create', '--compression', 'lz4', '::x', file], { env }),
    get: () => measure('borg', ['extract', '--stdout', '::x'], { env, discard: true }),
    range: (size) => middleOf('borg extract --stdout ::x', size, env),
    ...place(dir, base),
  };
}

/** The plainest way there is: no index, no integrity. */
async function pipeline(parent: string): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'pipeline');
  const env = { BENCH_PASS: SECRET, BENCH_OUT: join(dir, 'archive') };
  const cipher = 'openssl enc -chacha20 -pbkdf2 -pass env:BENCH_PASS';
  const unpack = `${cipher} -d -in "$BENCH_OUT" | zstd -d | tar -xOf -`;
  return {
    put: (file) =>
      shell(
        `tar -cf - -C "$1" "$2" | zstd -q -1 | ${cipher} -out "$BENCH_OUT"`,
        env,
        dirname(file),
        basename(file),
      ),
    get: () => shell(unpack, env),
    range: (size) => middleOf(`{ ${unpack}; }`, size, env),
    ...place(dir),
  };
}
