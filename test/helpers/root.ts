import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'vitest';

const isRoot = process.getuid?.() === 0;
/** Where nothing that can run may be skipped. */
const inCi = process.env.CI === 'true';

/** A test that has to change users. Skipped, and said so, for who is not root; a failure in CI. */
export function asRoot(name: string, work: () => Promise<void>): void {
  if (isRoot) it(name, work);
  else skip(name, 'needs root', inCi);
}

function skip(name: string, why: string, fails: boolean): void {
  console.log(`SKIPPED (${why}): ${name}`);
  it.skipIf(!fails)(name, () => {
    throw new Error(`not run, and CI=true: ${why}`);
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

/** A test that fills a disk. Skipped, and said so, where no small one can be mounted; a failure in CI without root. */
export function onSmallDisk(name: string, work: () => Promise<void>): void {
  if (problem === undefined) it(name, work);
  else skip(name, problem, inCi && !isRoot);
}
