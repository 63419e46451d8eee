import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { errnoText } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';
import { makeFolders, readSmallFile } from '../../core/files.ts';
import { syncFolder } from '../../providers/fs/layout.ts';

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
const PRIVATE = 0o600;

/**
 * Replaces a configuration as a whole: a crash leaves the old one or the new one. Its owner's mode stays, a link is
 * followed.
 * @param before what is expected there; undefined: nothing.
 * @throws HoldfastError `Conflict` (`config_changed`) when something else is.
 */
export async function replaceConfig(file: string, before: string | undefined, after: string): Promise<void> {
  const target = await realpath(file).catch(() => file);
  const there = await stat(target).catch(() => undefined);
  const now = there === undefined ? undefined : await readSmallFile(target, MAX_CONFIG_BYTES);
  if (now !== before) {
    throw new HoldfastError('Conflict', `${file} was changed by somebody else in the meantime`, {
      code: 'config_changed',
      hint: 'Nothing was written; run this again.',
    });
  }
  await writeWhole(target, after, there === undefined ? PRIVATE : there.mode & 0o777);
}

/** Credentials that were typed, for this user only. */
export async function keepCredentials(
  home: string,
  id: string,
  fields: Readonly<Record<string, string>>,
): Promise<string> {
  const file = join(home, 'credentials', `${id}.json`);
  await makeFolders(dirname(file), 0o700).catch((cause: unknown) => {
    throw cannotWrite(file, cause);
  });
  const handle = await open(file, 'wx', PRIVATE).catch((cause: NodeJS.ErrnoException) => {
    throw cause.code === 'EEXIST' ? alreadyThere(file) : cannotWrite(file, cause);
  });
  try {
    await handle.writeFile(`${JSON.stringify(fields, null, 2)}\n`);
    await handle.sync();
  } catch (cause) {
    await rm(file, { force: true });
    throw cannotWrite(file, cause);
  } finally {
    await handle.close();
  }
  return file;
}

/** It may be another provider's. */
function alreadyThere(file: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `there is already a file ${file}`, {
    code: 'credentials_exist',
    hint: 'Name it with --credentials-file to use it, choose another --id, or remove it.',
  });
}

async function writeWhole(file: string, text: string, mode: number): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    const handle = await open(part, 'wx', mode);
    try {
      await handle.chmod(mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, file);
    await syncFolder(dirname(file));
  } catch (cause) {
    await rm(part, { force: true });
    throw cannotWrite(file, cause);
  }
}

function cannotWrite(file: string, cause: unknown): HoldfastError {
  return new HoldfastError('PermissionDenied', `cannot write ${file}: ${errnoText(cause)}`, {
    code: 'access_denied',
    hint: 'What was there before still is.',
    cause,
  });
}
