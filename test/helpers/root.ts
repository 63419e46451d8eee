import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'vitest';
import { NOTHING_MAY_BE_ABSENT } from './absent.ts';

const isRoot = process.getuid?.() === 0;

/** A test that has to change users. Skipped, and said so, for who is not root; a failure where nothing may be absent. */
export function asRoot(name: string, work: () => Promise<void>): void {
  if (isRoot) it(name, work);
  else skip(name, 'needs root', NOTHING_MAY_BE_ABSENT);
}

function skip(name: string, why: string, fails: boolean): void {
  console.log(`SKIPPED: ${name} (${why})`);
  it.skipIf(!fails)(name, () => {
    throw new Error(`not run, and here it is required: ${why}`);
  });
}

/** A small file system of its own. */
export interface SmallDisk {
  readonly path: string;
  unmount(): void;
}

export function mountSmallDisk(bytes: number): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=0777`, 'tmpfs', path], { stdio: 'pipe' });
  return {
    path,
    unmount() {
      execFileSync('umount', ['-l', path], { stdio: 'pipe' });
      rmSync(path, { recursive: true, force: true });
    },
  };
}

function mountProblem(): string | undefined {
  if (!isRoot) return 'needs root';
  try {
    mountSmallDisk(65_536).unmount();
    return undefined;
  } catch (error) {
    return `cannot mount a tmpfs here: ${(error as Error).message.split('\n')[0]}`;
  }
}

const problem = mountProblem();

/**
 * A test that fills a disk. Skipped, and said so, where no small one can be mounted; a failure where nothing may be
 * absent, except for root, since many containers may not mount.
 */
export function onSmallDisk(name: string, work: () => Promise<void>): void {
  if (problem === undefined) it(name, work);
  else skip(name, problem, NOTHING_MAY_BE_ABSENT && !isRoot);
}
