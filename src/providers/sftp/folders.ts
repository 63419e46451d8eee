import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { isFailure } from './errors.ts';
import type { SftpFiles } from './files.ts';

/** The provider's folders below its root, which must be there and is never made. */
export interface Folders {
  path(relative: string): string;
  /** Makes a folder whose parent exists, unless it was made before. */
  ensure(relative: string, signal: AbortSignal | undefined): Promise<void>;
  /** Path for a file that is not finished yet. */
  newTemp(name: string, signal: AbortSignal | undefined): Promise<string>;
  forget(): void;
  /** @throws Unavailable, code `provider_missing`. */
  checkPresent(signal: AbortSignal | undefined): Promise<void>;
}

/** @param sweepTemp called before the first temporary file is made. */
export function createFolders(
  files: SftpFiles,
  root: string,
  sweepTemp: (signal: AbortSignal | undefined) => Promise<void>,
): Folders {
  const home = root.replace(/(?<!\/)\/+$/, '');
  const made = new Set<string>();
  const path = (relative: string): string => `${home}/${relative}`;

  const checkPresent = async (signal: AbortSignal | undefined): Promise<void> => {
    const found = await files.stat(home === '' ? '/' : `${home}/.`, signal);
    if (found?.isFolder) return;
    throw new HoldfastError('Unavailable', 'the folder that is this provider is not there', {
      code: 'provider_missing',
      status: 'permanent',
      hint: 'Create the folder at the server, or correct the root of this provider in the configuration.',
    });
  };
  const ensure = async (relative: string, signal: AbortSignal | undefined): Promise<void> => {
    if (made.has(relative)) return;
    await files.makeFolder(path(relative), signal).catch(async (error: unknown) => {
      if (isHoldfastError(error, 'NotFound')) await checkPresent(signal);
      const there = isFailure(error) && (await files.stat(path(relative), signal))?.isFolder;
      if (!there) throw error;
    });
    made.add(relative);
  };
  return {
    path,
    ensure,
    checkPresent,
    async newTemp(name, signal) {
      await ensure('tmp', signal);
      await sweepTemp(signal);
      return path(`tmp/${name}`);
    },
    forget: () => made.clear(),
  };
}
