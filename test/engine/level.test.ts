import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Level } from 'level';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { createLevelEngine, type Engine, type LevelEngineOptions } from '../../src/engine/index.ts';
import { engineConformance } from './conformance.ts';

const one = Uint8Array.of(1);
const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'holdfast-level-'));
const open = (location: string, options: Partial<LevelEngineOptions> = {}): Engine =>
  createLevelEngine({ location, clock: systemClock, lockWaitMs: 30_000, idleReleaseMs: 50, ...options });

engineConformance('level', {
  make: async () => {
    const folder = await newFolder();
    return {
      engine: open(join(folder, 'db')),
      cleanUp: () => rm(folder, { recursive: true, force: true }),
    };
  },
});

/** Every operation is followed by a release, so each opens the database anew. */
engineConformance('level (released at once)', {
  make: async () => {
    const folder = await newFolder();
    return {
      engine: open(join(folder, 'db'), { idleReleaseMs: 0 }),
      cleanUp: () => rm(folder, { recursive: true, force: true }),
    };
  },
});

describe('level engine on its folder', () => {
  let folder: string;
  let location: string;
  const engines: Engine[] = [];
  const start = (options: Partial<LevelEngineOptions> = {}): Engine => {
    const engine = open(location, options);
    engines.push(engine);
    return engine;
  };

  beforeEach(async () => {
    folder = await newFolder();
    location = join(folder, 'db');
  });
  afterEach(async () => {
    await Promise.all(engines.splice(0).map((engine) => engine.close()));
    await rm(folder, { recursive: true, force: true });
  });

  it('keeps what was written over a restart', async () => {
    const first = start();
    await first.table('t').put('k', one);
    await first.close();
    expect(await start().table('t').get('k')).toEqual(one);
  });

  it('touches no disk before it is used', async () => {
    await start().close();
    expect(await readdir(folder)).toEqual([]);
  });

  it('releases the database when idle, so that another opener gets in', async () => {
    const engine = start({ idleReleaseMs: 1 });
    await engine.table('t').put('k', one);
    await expect.poll(() => opensRaw(location)).toBe(true);
    expect(await engine.table('t').get('k')).toEqual(one);
  });

  it('says who to wait for when the lock is not released in time', async () => {
    const holder = new Level(location);
    await holder.open();
    const waiting = start({ lockWaitMs: 60 }).table('t').get('k');
    await expect(waiting).rejects.toMatchObject({
      kind: 'Unavailable',
      code: 'engine_locked',
      hint: expect.stringContaining('other holdfast command'),
    });
    await holder.close();
  });

  it('stops waiting for the lock when aborted or closed, and others go on waiting', async () => {
    const holder = new Level(location);
    await holder.open();
    const engine = start();
    const controller = new AbortController();
    const aborted = engine.table('t').get('k', { signal: controller.signal });
    const patient = engine.table('t').put('k', one);
    controller.abort();
    await expect(aborted).rejects.toMatchObject({ kind: 'Aborted' });
    await holder.close();
    await patient;
    expect(await engine.table('t').get('k')).toEqual(one);

    const other = start();
    await engine.close();
    const again = new Level(location);
    await again.open();
    const stuck = other.table('t').get('k');
    stuck.catch(() => {});
    await other.close();
    await expect(stuck).rejects.toMatchObject({ code: 'engine_closed' });
    await again.close();
  });

  it('opens anew for a caller that comes just as the last waiter gives up', async () => {
    const holder = new Level(location);
    await holder.open();
    const asleep = newGate();
    const gate = newGate();
    const slow: Clock = {
      ...systemClock,
      async sleep(ms, signal) {
        asleep.open();
        await gate.opened;
        await systemClock.sleep(ms, signal);
      },
    };
    const engine = start({ clock: slow });
    const controller = new AbortController();
    const first = engine.table('t').get('k', { signal: controller.signal });
    first.catch(() => {});
    await asleep.opened;
    controller.abort();
    await expect(first).rejects.toMatchObject({ kind: 'Aborted' });
    const second = engine.table('t').get('k');
    second.catch(() => {});
    await holder.close();
    gate.open();
    expect(await second).toBeUndefined();
  });

  it('makes room for a waiting opener though it is never idle', async () => {
    const busy = start({ idleReleaseMs: 60_000 });
    const patient = start({ lockWaitMs: 60_000 });
    await busy.table('t').put('k', one);
    let done = false;
    const read = patient
      .table('t')
      .get('k')
      .finally(() => {
        done = true;
      });
    while (!done) await busy.table('t').get('k');
    expect(await read).toEqual(one);
  });

  it('reports a damaged database with what to do next', async () => {
    await writeOne();
    for (const file of await readdir(location)) {
      if (file.startsWith('MANIFEST')) await writeFile(join(location, file), 'not a manifest');
    }
    const corrupt = { kind: 'Corrupt', code: 'engine_corrupt', hint: expect.stringContaining('recover') };
    await expect(start().table('t').get('k')).rejects.toMatchObject(corrupt);
  });

  it('reports a database whose files are gone', async () => {
    await writeOne();
    for (const file of await readdir(location)) {
      if (file.startsWith('MANIFEST')) await rm(join(location, file));
    }
    await expect(start().table('t').get('k')).rejects.toMatchObject({
      kind: 'Corrupt',
      code: 'engine_corrupt',
    });
  });

  it('never returns a value that rotted on the disk', async () => {
    const value = Buffer.alloc(5000, 'a value of some length ');
    const writer = start();
    await writer.table('t').put('k', value);
    await writer.close();
    const raw = new Level<Uint8Array, Uint8Array>(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      compression: false,
    });
    const key = Buffer.from('t:k');
    const record = Uint8Array.from((await raw.get(key))!);
    record[1000]! ^= 1;
    await raw.put(key, record);
    await raw.close();

    const reader = start();
    const corrupt = { kind: 'Corrupt', code: 'engine_corrupt' };
    await expect(reader.table('t').get('k')).rejects.toMatchObject(corrupt);
    await expect(reader.table('t').entries()[Symbol.asyncIterator]().next()).rejects.toMatchObject(corrupt);
    await expect(reader.table('t').compareAndSet('k', value, one)).rejects.toMatchObject(corrupt);
    await reader.table('t').put('k', one);
    expect(await reader.table('t').get('k')).toEqual(one);
  });

  it('refuses a location that is a file', async () => {
    await writeFile(location, 'here first');
    const refusal = { kind: 'ConfigInvalid', code: 'engine_location' };
    await expect(start().table('t').get('k')).rejects.toMatchObject(refusal);
    expect(await readFile(location, 'utf8')).toBe('here first');
  });

  async function writeOne(): Promise<void> {
    const engine = start();
    await engine.table('t').put('k', one, { sync: true });
    await engine.close();
  }
});

async function opensRaw(location: string): Promise<boolean> {
  const database = new Level(location);
  try {
    await database.open();
    return true;
  } catch {
    return false;
  } finally {
    await database.close();
  }
}

function newGate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}
