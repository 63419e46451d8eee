import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { systemClock as clock } from '../../src/core/clock.ts';
import { createLevelEngine, type Engine } from '../../src/engine/index.ts';

/** The folder that is listed as it was before another process made the database there; once. */
const seen = vi.hoisted((): { empty: string | undefined } => ({ empty: undefined }));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const readdir = async (path: string): Promise<string[]> => {
    if (path !== seen.empty) return real.readdir(path);
    seen.empty = undefined;
    return [];
  };
  return { ...real, readdir };
});

it('a database that another process makes at the same moment is not taken for one without its beginning', async () => {
  const location = await mkdtemp(join(tmpdir(), 'holdfast-made-'));
  onTestFinished(() => rm(location, { recursive: true, force: true }));
  const open = (): Engine => createLevelEngine({ location, clock, lockWaitMs: 1000, idleReleaseMs: 60_000 });
  const other = open();
  await other.table('t').put('key', Uint8Array.of(1));
  await other.close();
  seen.empty = location;
  const engine = open();
  onTestFinished(() => engine.close());
  expect(await engine.table('t').get('key')).toEqual(Uint8Array.of(1));
  expect(seen.empty).toBeUndefined();
});
