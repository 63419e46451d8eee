import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/core/clock.ts';
import { createLevelEngine } from '../../src/engine/index.ts';

vi.mock('node:module', async (original) => ({
  ...(await original<typeof import('node:module')>()),
  createRequire: () => () => {
    throw new Error('no native build was found');
  },
}));

describe('loading LevelDB', () => {
  it('waits until a database is opened', () => {
    const engine = pathToFileURL(resolve(import.meta.dirname, '../../dist/engine/index.js')).href;
    const script = `
      import { createRequire } from 'node:module';
      const { createLevelEngine } = await import(${JSON.stringify(engine)});
      createLevelEngine({ location: '/nowhere', lockWaitMs: 0, idleReleaseMs: 0 }).table('t');
      const loaded = Object.keys(createRequire(import.meta.url).cache);
      console.log(loaded.filter((path) => path.includes('level')).length);`;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', script]);
    expect(printed.toString()).toBe('0\n');
  });

  it('that fails is a typed error with a way out', async () => {
    const location = join(tmpdir(), 'holdfast-never-made');
    const engine = createLevelEngine({ location, clock: systemClock, lockWaitMs: 0, idleReleaseMs: 0 });
    await expect(engine.table('t').get('k')).rejects.toMatchObject({
      kind: 'Unavailable',
      code: 'engine_unsupported',
      status: 'permanent',
      hint: expect.stringContaining('engine.default'),
    });
    await engine.close();
  });
});
