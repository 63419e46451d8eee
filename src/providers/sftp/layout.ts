import { toHex } from '../../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type GenerationStore, generationOf, MAX_GENERATION_BYTES, MAX_GENERATIONS } from '../generations.ts';
import { slotConflict } from '../guard.ts';
import { once } from '../leftovers.ts';
import { collect } from '../pieces.ts';
import { isFailure } from './connection.ts';
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

/** Generations as files, granted by a hard link, as on a local disk. */
export function sftpGenerations(files: SftpFiles, folders: Folders, random: RandomBytes): GenerationStore {
  const pathOf = (name: string, number: number): string => folders.path(`slots/${name}/${number}`);

  /** Some servers say that they linked and did nothing: every writer would win. So it is put to the test once. */
  const testLinks = once(async (temp: string, signal: AbortSignal | undefined): Promise<void> => {
    const second = await folders.newTemp(toHex(random(16)), signal);
    try {
      await files.link(temp, second, signal);
      const again = await files.link(temp, second, signal).catch((error: unknown) => error);
      if (again === undefined || (await files.stat(second, signal)) === undefined) throw linksIgnored();
    } finally {
      await files.remove(second, undefined).catch(() => {});
    }
  });

  return {
    async numbers(name, signal) {
      const numbers: number[] = [];
      try {
        for await (const { filename } of files.list(folders.path(`slots/${name}`), signal)) {
          const number = generationOf(filename);
          if (number !== undefined) numbers.push(number);
          if (numbers.length > MAX_GENERATIONS) break;
        }
        return numbers;
      } catch (error) {
        return absentAs([])(error);
      }
    },
    async read(name, number, signal) {
      const found = await files.stat(pathOf(name, number), signal);
      if (found === undefined) return undefined;
      const length = Math.min(found.size, MAX_GENERATION_BYTES);
      return collect(files.read(pathOf(name, number), 0, length, signal), MAX_GENERATION_BYTES).catch(
        absentAs(undefined),
      );
    },
    async create(name, number, bytes, signal) {
      await folders.ensure('slots', signal);
      await folders.ensure(`slots/${name}`, signal);
      const temp = await folders.newTemp(toHex(random(16)), signal);
      try {
        await files.write(temp, [bytes], signal);
        await testLinks(temp, signal);
        await files.link(temp, pathOf(name, number), signal).catch(async (error: unknown) => {
          const taken = isFailure(error) && (await files.stat(pathOf(name, number), signal)) !== undefined;
          throw taken ? slotConflict() : error;
        });
      } finally {
        await files.remove(temp, undefined).catch(() => {});
      }
    },
    remove: async (name, number) => void (await files.remove(pathOf(name, number), undefined)),
  };
}

function absentAs<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (!isHoldfastError(error, 'NotFound')) throw error;
    return value;
  };
}

function linksIgnored(): HoldfastError {
  return new HoldfastError(
    'PermissionDenied',
    'the server makes no hard links, so slots would lose updates',
    {
      code: 'unsupported',
      hint: 'Set slots = false for this provider.',
    },
  );
}
