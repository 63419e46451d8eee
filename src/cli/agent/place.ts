import { createHash } from 'node:crypto';
import { lstat, mkdir, realpath, stat } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { errnoText } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';

/** Where a user's agents listen, one socket for each key file. */
export interface AgentPlace {
  readonly folder: string;
  readonly socket: string;
}

/** What a socket's address may have on every system; the shortest limit is that of macOS. */
const MAX_SOCKET_BYTES = 103;
/** Others may neither look into the folder nor write there. */
const OTHERS = 0o077;
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws HoldfastError `ConfigInvalid` (`agent_unsupported`) where no path is short enough, and on Windows. */
export async function agentPlace(env: Environment, keyFile: string): Promise<AgentPlace> {
  const uid = process.geteuid?.();
  if (uid === undefined) throw unsupported('there are no Unix sockets with owners here');
  const path = await realpath(keyFile).catch(() => resolve(keyFile));
  const name = `${createHash('sha256').update(path).digest('hex').slice(0, 20)}.sock`;
  const temporary = env.TMPDIR && isAbsolute(env.TMPDIR) ? env.TMPDIR : '/tmp';
  const folders = [
    ...((await isOwn(env.XDG_RUNTIME_DIR, uid)) ? [join(env.XDG_RUNTIME_DIR!, 'holdfast')] : []),
    join(temporary, `holdfast-${uid}`),
    `/tmp/holdfast-${uid}`,
  ];
  for (const folder of folders) {
    const socket = join(folder, name);
    if (Buffer.byteLength(socket) <= MAX_SOCKET_BYTES) return { folder, socket };
  }
  throw unsupported('the paths of XDG_RUNTIME_DIR and TMPDIR are too long for a socket');
}

async function isOwn(folder: string | undefined, uid: number): Promise<boolean> {
  if (!folder || !isAbsolute(folder)) return false;
  const there = await stat(folder).catch(() => undefined);
  return there?.isDirectory() === true && there.uid === uid;
}

/** Makes the folder if it is not there, and makes sure that it is the user's own. */
export async function makeFolder({ folder }: AgentPlace): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw unsafe(folder, errnoText(cause), cause);
  });
  await hasFolder({ folder });
}

/**
 * Whoever answers in a folder that only this user can enter, and that nobody else can put another in place of, is a
 * process of this user.
 * @returns whether it is there at all.
 * @throws HoldfastError `PermissionDenied` (`agent_folder_unsafe`).
 */
export async function hasFolder({ folder }: Pick<AgentPlace, 'folder'>): Promise<boolean> {
  const uid = process.geteuid?.();
  const found = await Promise.all([lstat(folder), stat(join(folder, '..'))]).catch(
    (cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return undefined;
      throw unsafe(folder, errnoText(cause), cause);
    },
  );
  if (found === undefined) return false;
  const [own, above] = found;
  if (!own.isDirectory()) throw unsafe(folder, 'it is no folder');
  if (own.uid !== uid) throw unsafe(folder, 'it belongs to another user');
  if ((own.mode & OTHERS) !== 0) throw unsafe(folder, 'others may enter it; its mode must be 0700');
  if (above.uid !== uid && above.uid !== 0) throw unsafe(folder, 'the folder above belongs to another user');
  if ((above.mode & WRITABLE_BY_OTHERS) !== 0 && (above.mode & STICKY) === 0)
    throw unsafe(folder, 'others may replace it');
  return true;
}

function unsafe(folder: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('PermissionDenied', `cannot trust the agent's folder ${folder}: ${why}`, {
    code: 'agent_folder_unsafe',
    hint: 'Remove it, or set XDG_RUNTIME_DIR to a folder of your own; `HOLDFAST_AGENT=off` does without an agent.',
    ...(cause === undefined ? {} : { cause }),
  });
}

function unsupported(why: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `no agent can keep keys here: ${why}`, {
    code: 'agent_unsupported',
    hint: 'Set XDG_RUNTIME_DIR to a folder of your own with a short path, or give the passphrase each time.',
  });
}
