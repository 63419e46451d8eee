import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { secureRandom } from '../../src/core/random.ts';
import { createOwnerLocks, type Owners } from '../../src/engine/index.ts';
import { inContainer, withContainers } from '../helpers/container.ts';

const CHILD = resolve(import.meta.dirname, 'children/owner.mjs');
const DIST = resolve(import.meta.dirname, '../../dist');

interface Child {
  readonly child: ChildProcess;
  /** The next line that it prints. */
  line(): Promise<string>;
  ask(text: string): Promise<string>;
}

describe('owners of one state', () => {
  let folder: string;
  let here: Owners;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-owners-'));
    here = createOwnerLocks({ folder, clock: systemClock, random: secureRandom });
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await here.close();
    await rm(folder, { recursive: true, force: true });
  });

  const start = (command: readonly string[] = [], ...args: string[]): Child => {
    const [program, ...before] = [...command, process.execPath];
    const child = spawn(program!, [...before, CHILD, DIST, folder, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    children.push(child);
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const line = async (): Promise<string> => (await lines.next()).value;
    const ask = (text: string): Promise<string> => {
      child.stdin!.write(`${text}\n`);
      return line();
    };
    return { child, line, ask };
  };
  const kill = async ({ child }: Child): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };

  it('are dead once they were killed, and not before', async () => {
    const other = start();
    const name = await other.line();
    expect(await here.standing(name)).toBe('alive');
    expect(await other.ask(await here.current())).toBe('alive');
    expect(await here.standing(name)).toBe('alive');
    await kill(other);
    expect(await here.standing(name)).toBe('dead');
  });

  it('are dead once they have let go', async () => {
    const name = await here.current();
    expect(await here.standing(name)).toBe('alive');
    await here.close();
    const other = start();
    await other.line();
    expect(await other.ask(name)).toBe('dead');
  });

  it('live in any thread of a process, and looking does not take their lock away', async () => {
    const both = start([], 'thread');
    const name = await both.line();
    for (let i = 0; i < 2; i++) {
      expect(await both.ask(name)).toBe('alive');
      expect(await here.standing(name)).toBe('alive');
    }
  });

  withContainers('are told apart in containers, where all have one id and one name', async () => {
    const container = inContainer('box');
    const [first, second] = [start(container), start(container)];
    const [one, two] = [await first.line(), await second.line()];
    expect(await first.ask(two)).toBe('alive');
    expect(await second.ask(one)).toBe('alive');
    await kill(first);
    await expect.poll(() => second.ask(one)).toBe('dead');
  });

  it('of names that earlier versions wrote are neither proven dead nor alive', async () => {
    for (const name of ['host:1:00aa11bb', '', '../engine', 'x'.repeat(33)]) {
      expect(await here.standing(name)).toBe('unknown');
    }
  });

  it('whose lock cannot be tried are neither proven dead nor alive', async () => {
    const name = `${'a'.repeat(16)}-${'b'.repeat(16)}`;
    await writeFile(join(folder, name), 'no folder');
    expect(await here.standing(name)).toBe('unknown');
  });

  it('whose lock came with a copy of the folder are neither proven dead nor alive: they may live elsewhere', async () => {
    const name = await start().line();
    const copied = `${folder}-copy`;
    await cp(folder, copied, { recursive: true });
    const there = createOwnerLocks({ folder: copied, clock: systemClock, random: secureRandom });
    expect(await there.standing(name)).toBe('unknown');
    await rm(copied, { recursive: true });
    for (const child of children) child.kill('SIGKILL');
    await expect.poll(() => here.standing(name)).toBe('dead');
  });

  it('are alive while their lock is held, though their folder has another number than before', async () => {
    const other = start();
    const name = await other.line();
    await writeFile(join(folder, name, 'place'), 'elsewhere 1 1');
    expect(await here.standing(name)).toBe('alive');
    await kill(other);
    expect(await here.standing(name)).toBe('unknown');
  });

  it('leave nothing behind in the end', async () => {
    const dead = await Promise.all([1, 2, 3].map(() => start().line()));
    for (const child of children.splice(0)) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    const living = await start().line();
    const own = await here.current();
    await here.tidy(new Set());
    expect((await readdir(folder)).sort()).toEqual([...dead, living, own].sort());
    await mkdir(join(folder, 'something else'));
    for (const name of [...dead, living, own]) await utimes(join(folder, name), 1, 1);
    await here.tidy(new Set([dead[0]!]));
    expect((await readdir(folder)).sort()).toEqual([dead[0]!, living, own, 'something else'].sort());
  });
});
