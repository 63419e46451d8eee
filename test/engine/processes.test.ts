import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createLevelEngine, type Engine } from '../../src/engine/index.ts';
import { absent } from '../helpers/absent.ts';

const WORKER = resolve(import.meta.dirname, 'children/worker.mjs');
const DIST = resolve(import.meta.dirname, '../../dist');
const ROUNDS = process.env.SLOW === '1' ? 40 : 4;

describe('level engine shared by processes', () => {
  let folder: string;
  let location: string;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'holdfast-processes-'));
    location = join(folder, 'db');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  const open = (): Engine =>
    createLevelEngine({ location, clock: systemClock, lockWaitMs: 60_000, idleReleaseMs: 5 });
  const start = (...command: string[]): { child: ChildProcess; lines: string[]; ended: Promise<unknown> } => {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    const chunks: Buffer[] = [];
    child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
    return {
      child,
      // What follows the last line break is not acknowledged.
      get lines() {
        return Buffer.concat(chunks).toString().split('\n').slice(0, -1);
      },
      ended: once(child, 'close'),
    };
  };
  const worker = (...args: string[]): ReturnType<typeof start> =>
    start(process.execPath, WORKER, DIST, location, ...args);

  it('loses no increment of a counter that processes share', { timeout: 120_000 }, async () => {
    const processes = 3;
    const each = 20;
    const workers = Array.from({ length: processes }, () => worker('increment', String(each)));
    await Promise.all(workers.map(({ ended }) => ended));
    expect(workers.flatMap(({ lines }) => lines)).toEqual(Array.from({ length: processes }, () => 'done'));
    const engine = open();
    const counter = (await engine.table('shared').get('counter'))!;
    expect(new DataView(counter.buffer).getUint32(0)).toBe(processes * each);
    await engine.close();
  });

  it('has every acknowledged synchronous write after kill -9', { timeout: 300_000 }, async () => {
    const acknowledged: string[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const writers = [worker('write', `${round}a`), worker('write', `${round}b`)];
      await expect
        .poll(() => Math.min(...writers.map(({ lines }) => lines.length)))
        .toBeGreaterThan(5 + 13 * round);
      for (const { child } of writers) child.kill('SIGKILL');
      await Promise.all(writers.map(({ ended }) => ended));
      acknowledged.push(...writers.flatMap(({ lines }) => lines));

      const engine = open();
      const found = new Map<string, string>();
      for await (const [key, value] of engine.table('shared').entries())
        found.set(key, Buffer.from(value).toString());
      await engine.close();
      expect(acknowledged.filter((key) => found.get(key) !== `value of ${key}`)).toEqual([]);
      for (const [key, value] of found) expect(value).toBe(`value of ${key}`);
    }
    expect(acknowledged.length).toBeGreaterThan(10 * ROUNDS);
  });

  it('never has one half of a batch without the other after kill -9', { timeout: 300_000 }, async () => {
    let least = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const writers = [worker('pair'), worker('pair')];
      const acknowledged = (): number[] => writers.flatMap(({ lines }) => lines.map(Number));
      await expect.poll(() => acknowledged().length).toBeGreaterThan(5 + 13 * round);
      for (const { child } of writers) child.kill('SIGKILL');
      await Promise.all(writers.map(({ ended }) => ended));
      const numbers = acknowledged();
      expect(new Set(numbers).size).toBe(numbers.length);
      least = Math.max(least, ...numbers);

      const engine = open();
      const [one, other] = [
        await engine.table('shared').get('one'),
        await engine.table('others').get('other'),
      ];
      await engine.close();
      expect(other).toEqual(one);
      expect(new DataView(one!.buffer).getUint32(0)).toBeGreaterThanOrEqual(least);
    }
    expect(least).toBeGreaterThan(5 * ROUNDS);
  });

  it('reports a full disk and keeps what it had', { timeout: 60_000 }, async () => {
    const before = worker('put', '2');
    await before.ended;
    expect(before.lines).toEqual(['done']);
    // A limit on the size of files stands in for a full disk: the write system call fails the same way.
    const full = start(
      'bash',
      '-c',
      'trap "" XFSZ; ulimit -f 512; exec "$@"',
      'bash',
      process.execPath,
      WORKER,
      DIST,
      location,
      'put',
      '20',
    );
    await full.ended;
    expect(full.lines).toHaveLength(1);
    expect(JSON.parse(full.lines[0]!)).toMatchObject({
      kind: 'QuotaExceeded',
      code: 'engine_full',
      hint: expect.stringContaining('Free space'),
    });
    const engine = open();
    expect(await engine.table('shared').get('key 1')).toHaveLength(64 * 1024);
    await engine.close();
  });

  it('reports a folder that it may not use', { timeout: 60_000 }, async (context) => {
    const root = process.getuid?.() === 0;
    if (root && !(await hasUnprivilegedUser())) {
      absent('no other user than root can run the build where it lies', 'a folder that may not be used');
      return context.skip();
    }
    await mkdir(location, { mode: 0o500 });
    await chmod(folder, 0o755);
    const task = [WORKER, DIST, location, 'put', '1'];
    const asUser = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    const denied = start(...(root ? asUser : [process.execPath]), ...task);
    await denied.ended;
    expect(denied.lines).toHaveLength(1);
    expect(JSON.parse(denied.lines[0]!)).toMatchObject({
      kind: 'PermissionDenied',
      code: 'engine_permission',
    });
  });
});

/** Whether another user may run this worker from where it lies. */
async function hasUnprivilegedUser(): Promise<boolean> {
  const probe = `import(${JSON.stringify(join(DIST, 'engine/index.js'))})`;
  const child = spawn(
    'setpriv',
    ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, '-e', probe],
    {
      stdio: 'ignore',
    },
  );
  return new Promise((done) => {
    child.on('error', () => done(false));
    child.on('close', (code) => done(code === 0));
  });
}
