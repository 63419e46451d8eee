import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { posix, resolve } from 'node:path';
import { throwIfAborted } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import { isPattern, nameMatcher, plainSegment } from './pattern.ts';

export interface FoundFile {
  /** As it can be opened. */
  readonly path: string;
  /** Below the folder at which the wildcards start: `b/c.md` for `docs/b/c.md` and `docs/**`. */
  readonly name: string;
}

export const MAX_FILES = 100_000;

/**
 * The files that a pattern stands for, sorted by name. A segment of two stars is any number of folders, without those
 * that start with a dot and without links to folders. Folders themselves are no matches.
 * @throws HoldfastError `ConfigInvalid` (`too_many_files`), `Aborted`.
 */
export async function expandPattern(pattern: string, cwd: string, signal: AbortSignal): Promise<FoundFile[]> {
  const segments = pattern.split('/').filter((segment, place) => segment !== '' || place === 0);
  const wild = segments.findIndex(isPattern);
  const head = segments.slice(0, wild).map(plainSegment).join('/');
  const base = pattern.startsWith('/') && head === '' ? '/' : head;
  const found = new Map<string, FoundFile>();
  const walk = new Walk(cwd, base, segments.slice(wild), found, signal);
  await walk.folder('', 0);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

class Walk {
  readonly #cwd: string;
  readonly #base: string;
  readonly #segments: readonly string[];
  readonly #found: Map<string, FoundFile>;
  readonly #signal: AbortSignal;

  constructor(
    cwd: string,
    base: string,
    segments: readonly string[],
    found: Map<string, FoundFile>,
    signal: AbortSignal,
  ) {
    this.#cwd = cwd;
    this.#base = base;
    const whole = segments.at(-1) === '**' ? [...segments, '*'] : segments;
    this.#segments = whole.filter((segment, at) => segment !== '**' || whole[at - 1] !== '**');
    this.#found = found;
    this.#signal = signal;
  }

  /** What matches the segments from `place` on in the folder `below` the base. */
  async folder(below: string, place: number): Promise<void> {
    throwIfAborted(this.#signal, 'looking for files');
    const segment = this.#segments[place]!;
    const entries = await this.#entries(below);
    if (segment === '**') {
      await this.folder(below, place + 1);
      for (const entry of entries) {
        if (entry.isDirectory() && !entry.name.startsWith('.'))
          await this.folder(posix.join(below, entry.name), place);
      }
      return;
    }
    const last = place === this.#segments.length - 1;
    const wanted = nameMatcher(segment);
    for (const entry of entries) {
      if (!wanted(entry.name)) continue;
      const name = posix.join(below, entry.name);
      if (last && (await this.#is('file', entry, name))) this.#add(name);
      else if (!last && (await this.#is('folder', entry, name))) await this.folder(name, place + 1);
    }
  }

  #path(name: string): string {
    return posix.join(this.#base, name);
  }

  /** What cannot be read has no matches, as in a shell. */
  #entries(below: string): Promise<Dirent[]> {
    return readdir(this.#absolute(below), { withFileTypes: true }).catch(() => []);
  }

  #absolute(name: string): string {
    return resolve(this.#cwd, this.#path(name));
  }

  async #is(kind: 'file' | 'folder', entry: Dirent, name: string): Promise<boolean> {
    const there = entry.isSymbolicLink() ? await stat(this.#absolute(name)).catch(() => undefined) : entry;
    return kind === 'file' ? there?.isFile() === true : there?.isDirectory() === true;
  }

  #add(name: string): void {
    if (this.#found.size >= MAX_FILES) {
      throw new HoldfastError('ConfigInvalid', `the pattern stands for more than ${MAX_FILES} files`, {
        code: 'too_many_files',
        hint: 'Store them in several parts, or as one archive.',
      });
    }
    this.#found.set(name, { path: this.#path(name), name });
  }
}
