import { join } from 'node:path';
import { freshFolder, removeFolder } from './holdfast.ts';
import { MIB } from './numbers.ts';
import { installed, measure, type ProcessRun } from './processes.ts';

/** Another program that encrypts and stores, without redundancy. Each works on one file in an empty folder. */
export interface Peer {
  readonly name: string;
  readonly program: string;
  prepare(dir: string): Promise<PeerVault>;
}

export interface PeerVault {
  put(file: string): Promise<ProcessRun>;
  /** To nowhere, as with us. */
  get(): Promise<ProcessRun>;
  /** 64 KiB from the middle, where it can. */
  range?(size: number): Promise<ProcessRun>;
  remove(): Promise<void>;
}

export const PEERS: readonly Peer[] = [
  { name: 'rclone crypt to local', program: 'rclone', prepare: rclone },
  { name: 'restic', program: 'restic', prepare: restic },
  { name: 'borg lz4', program: 'borg', prepare: borg },
];

export const present = (peer: Peer): boolean => installed(peer.program);

async function rclone(parent: string): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'rclone');
  const { stdout } = await measure('rclone', ['obscure', 'a passphrase']);
  const env = {
    RCLONE_CONFIG: join(dir, 'none.conf'),
    RCLONE_CONFIG_BENCH_TYPE: 'crypt',
    RCLONE_CONFIG_BENCH_REMOTE: join(dir, 'data'),
    RCLONE_CONFIG_BENCH_PASSWORD: stdout.trim(),
  };
  const cat = (...args: string[]): Promise<ProcessRun> =>
    measure('rclone', ['cat', ...args, 'bench:object'], { env, discard: true });
  return {
    put: (file) => measure('rclone', ['copyto', file, 'bench:object'], { env }),
    get: () => cat(),
    range: (size) => cat('--offset', String(Math.floor(size / 2)), '--count', String(MIB / 16)),
    remove: () => removeFolder(dir),
  };
}

async function restic(parent: string): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'restic');
  const env = { RESTIC_PASSWORD: 'a passphrase', RESTIC_REPOSITORY: dir, RESTIC_CACHE_DIR: `${dir}-cache` };
  await measure('restic', ['init', '-q'], { env });
  let stored = '';
  return {
    put(file) {
      stored = file;
      return measure('restic', ['backup', '-q', file], { env });
    },
    get: () => measure('restic', ['dump', 'latest', stored], { env, discard: true }),
    remove: async () => {
      await removeFolder(dir);
      await removeFolder(`${dir}-cache`);
    },
  };
}

async function borg(parent: string): Promise<PeerVault> {
  const dir = await freshFolder(parent, 'borg');
  const repository = join(dir, 'repo');
  const env = { BORG_PASSPHRASE: 'a passphrase', BORG_BASE_DIR: dir };
  await measure('borg', ['init', '-e', 'repokey-blake2', repository], { env });
  return {
    put: (file) => measure('borg', ['create', '--compression', 'lz4', `${repository}::x`, file], { env }),
    get: () => measure('borg', ['extract', '--stdout', `${repository}::x`], { env, discard: true }),
    remove: () => removeFolder(dir),
  };
}
