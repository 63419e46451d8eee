import { stat } from 'node:fs/promises';
import { basename, isAbsolute, join } from 'node:path';
import { HoldfastError } from '../../core/errors.ts';
import type { Io } from '../io.ts';
import { expandPattern, MAX_FILES } from './expand.ts';
import { isPattern } from './pattern.ts';

/** A file to store, and what it will be called. */
export interface Source {
  readonly file: string;
  readonly name: string;
}

export interface Sources {
  readonly files: readonly Source[];
  /** Words that stand for nothing. */
  readonly failures: readonly { readonly file: string; readonly error: HoldfastError }[];
}

/**
 * What the words after `put` stand for. A word that is there as it is written is that file, under its last part as its
 * name; else a pattern, whose files are named by what stands below the folder where the wildcards start.
 * @throws HoldfastError `ConfigInvalid` (`same_name`) when two would be stored under one name: nothing is stored then.
 */
export async function findSources(words: readonly string[], prefix: string, io: Io): Promise<Sources> {
  const files = new Map<string, Source>();
  const failures: { file: string; error: HoldfastError }[] = [];
  const add = (file: string, name: string): void => {
    const taken = files.get(name);
    if (taken !== undefined && taken.file !== file) throw sameName(name, taken.file, file);
    if (files.size >= MAX_FILES) throw tooMany();
    files.set(name, { file, name });
  };
  for (const word of words) {
    if (word === '-') throw stdinAmongOthers();
    if (!isPattern(word) || (await isThere(word, io))) add(word, prefix + basename(word));
    else {
      const found = await expandPattern(word, io.cwd, io.signal);
      for (const { path, name } of found) add(path, prefix + name);
      if (found.length === 0) failures.push({ file: word, error: noMatch(word) });
    }
  }
  return { files: [...files.values()], failures };
}

/** Whether a word stands for several files, or may. */
export const isSeveral = async (words: readonly string[], io: Io): Promise<boolean> =>
  words.length > 1 || (isPattern(words[0]!) && !(await isThere(words[0]!, io)));

const isThere = (path: string, io: Io): Promise<boolean> =>
  stat(isAbsolute(path) ? path : join(io.cwd, path)).then(
    () => true,
    () => false,
  );

function noMatch(word: string): HoldfastError {
  return new HoldfastError('NotFound', `no file matches ${word}`, {
    code: 'source_unreadable',
    hint: 'Wildcards are *, ?, [a-z] and ** for folders; names that start with a dot must be asked for with one.',
  });
}

function sameName(name: string, first: string, second: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', `${first} and ${second} would both be called "${name}"`, {
    code: 'same_name',
    hint: 'Nothing was stored. Put them one by one with --name, or in two commands with a --prefix each.',
  });
}

function tooMany(): HoldfastError {
  return new HoldfastError('ConfigInvalid', `more than ${MAX_FILES} files`, {
    code: 'too_many_files',
    hint: 'Store them in several parts, or as one archive.',
  });
}

function stdinAmongOthers(): HoldfastError {
  return new HoldfastError('ConfigInvalid', '- (standard input) cannot be stored together with files', {
    code: 'bad_sources',
    hint: 'Give it a command of its own, with --name.',
  });
}
