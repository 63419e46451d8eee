import { chmod, open, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoText, isFull } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { makeFolders, readSmallFile } from '../core/files.ts';
import type { RandomBytes } from '../core/random.ts';
import { decodeKeyFile, encodeKeyFile, needsPassphrase } from '../keys/key-file.ts';
import { syncFolder } from '../providers/fs/layout.ts';

const MAX_KEY_FILE_BYTES = 64 * 1024;

/** Where a vault keeps its state. */
export interface HomePaths {
  readonly home: string;
  readonly keyFile: string;
  readonly engine: string;
  /** Locks of those that work on the engine. */
  readonly owners: string;
}

export const homePaths = (home: string): HomePaths => ({
  home,
  keyFile: join(home, 'vault.key'),
  engine: join(home, 'engine'),
  owners: join(home, 'owners'),
});

/**
 * Creates a vault's key file. @param passphrase undefined keeps the key unwrapped, readable by the owner only.
 * @throws HoldfastError `PermissionDenied`, code `already_initialised`: a key is never overwritten, and names of
 * another key never mixed with those of a new one.
 */
export async function createKeyFile(
  paths: HomePaths,
  passphrase: string | undefined,
  random: RandomBytes,
): Promise<void> {
  await makeFolders(paths.home, 0o700).catch((cause: unknown) => {
    throw unusable(paths.home, cause);
  });
  const state = await readdir(paths.engine).catch(() => []);
  if (state.length > 0 && !(await exists(paths.keyFile))) throw orphaned(paths);
  const text = await encodeKeyFile(random(32), passphrase, random);
  if (await writeNewKeyFile(paths, text)) return;
  throw new HoldfastError('PermissionDenied', `there is already a vault in ${paths.home}`, {
    code: 'already_initialised',
    hint: 'Its key was left alone. Use another --home for another vault.',
  });
}

/**
 * For work that needs no key: nothing else would tell that this is no vault's home, and all would be well with nothing.
 * @throws HoldfastError `NotFound` (`state_missing`).
 */
export async function requireState({ engine }: HomePaths): Promise<void> {
  const state = await readdir(engine).catch(() => []);
  if (state.length > 0) return;
  throw new HoldfastError('NotFound', `there is no state at ${engine}`, {
    code: 'state_missing',
    hint: 'Name the vault with --home; nothing may have been put there yet. A lost state comes back with `holdfast recover`.',
  });
}

/** Copies a key file, wrapped as it is, to where a home has its own. @returns false when there is one already. */
export async function installKeyFile(paths: HomePaths, from: string): Promise<boolean> {
  if (await exists(paths.keyFile)) return false;
  await makeFolders(paths.home, 0o700).catch((cause: unknown) => {
    throw unusable(paths.home, cause);
  });
  return writeNewKeyFile(paths, await readKeyText(from));
}

/**
 * Copies the key file of one home, wrapped as it is, to another. Where the first has none, the key is kept elsewhere.
 * @throws HoldfastError `Conflict`, code `key_file_differs`: the other has a key already, and not this one.
 */
export async function takeKeyFile(to: HomePaths, { keyFile }: HomePaths): Promise<void> {
  if (!(await exists(keyFile)) || (await installKeyFile(to, keyFile))) return;
  if ((await readKeyText(to.keyFile)) === (await readKeyText(keyFile))) return;
  throw new HoldfastError('Conflict', `${to.keyFile} is not the key file of ${keyFile}`, {
    code: 'key_file_differs',
    hint: 'Nothing was moved. Name another home, or put away the key file that is in this one.',
  });
}

/** Durably and whole, or not at all. @returns false, with nothing changed, when there is one already. */
async function writeNewKeyFile(paths: HomePaths, text: string): Promise<boolean> {
  const file = await open(paths.keyFile, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EEXIST') throw unusable(paths.keyFile, cause);
    return undefined;
  });
  if (file === undefined) return false;
  try {
    await file.writeFile(text);
    await file.sync();
    // Its name too: a key that a power cut takes back has taken all objects with it.
    await syncFolder(paths.home);
    return true;
  } catch (cause) {
    // Half a key would keep the next try from making a whole one.
    await rm(paths.keyFile, { force: true });
    throw unusable(paths.keyFile, cause);
  } finally {
    await file.close();
  }
}

/**
 * Writes what the vault was made with as the home's own configuration, so that it means the same from every folder. One
 * that is there is left alone. @returns false then.
 */
export async function keepConfig(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: 'wx', mode: 0o600, flush: true });
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw unusable(file, cause);
  }
}

/**
 * Reads the root key.
 * @throws HoldfastError `NotFound` (`key_file_missing`), `Corrupt` (`bad_key_file`), `PermissionDenied`.
 */
export async function readRootKey(keyFile: string, passphrase: () => Promise<string>): Promise<Uint8Array> {
  return decodeKeyFile(await readKeyText(keyFile), passphrase);
}

/**
 * The key file as it is. A bare one that others could read is taken from them.
 * @throws HoldfastError `NotFound` (`key_file_missing`), `Corrupt` (`bad_key_file`), `PermissionDenied`.
 */
export async function readKeyText(keyFile: string): Promise<string> {
  const text = await readSmallFile(keyFile, MAX_KEY_FILE_BYTES).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw unusable(keyFile, cause);
    throw new HoldfastError('NotFound', `there is no key file at ${keyFile}`, {
      code: 'key_file_missing',
      hint: 'Run `holdfast init` first, or name the vault with --home; a lost key file must come from a backup.',
      cause,
    });
  });
  if (!needsPassphrase(text)) await keepToOwner(keyFile);
  return text;
}

/** Who may read the file but not change its mode reads it all the same. */
async function keepToOwner(keyFile: string): Promise<void> {
  const { mode } = await stat(keyFile);
  if ((mode & 0o077) !== 0) await chmod(keyFile, 0o600).catch(() => {});
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

function orphaned({ keyFile, engine }: HomePaths): HoldfastError {
  const message = `${engine} holds the names of a vault whose key is not there`;
  return new HoldfastError('PermissionDenied', message, {
    code: 'already_initialised',
    hint: `Restore ${keyFile} from a backup, or use another --home for a new vault.`,
  });
}

function unusable(path: string, cause: unknown): HoldfastError {
  if (isFull(cause)) {
    return new HoldfastError('QuotaExceeded', `the disk of ${path} is full`, {
      hint: 'Free some space.',
      cause,
    });
  }
  return new HoldfastError('PermissionDenied', `cannot use ${path}: ${errnoText(cause)}`, {
    code: 'access_denied',
    hint: "Check --home, and the folder's owner and permissions.",
    cause,
  });
}
