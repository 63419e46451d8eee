import { toHex } from '../../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import { type GenerationStore, generationOf, MAX_GENERATION_BYTES, MAX_GENERATIONS } from '../generations.ts';
import { slotConflict } from '../guard.ts';
import { once } from '../once.ts';
import { collect } from '../pieces.ts';
import { isFailure } from './errors.ts';
import type { SftpFiles } from './files.ts';
import type { Folders } from './folders.ts';

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
