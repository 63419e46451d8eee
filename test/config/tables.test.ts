import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { TABLE_NAMES } from '../../src/engine/index.ts';

const SRC = new URL('../../src/', import.meta.url);

it('every table that the program keeps can be given another engine, and nothing else can', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const kept = files.flatMap((name) =>
    [...readFileSync(new URL(name, SRC), 'utf8').matchAll(/TABLE = '([a-z_]+)'/g)].map(([, table]) => table),
  );
  expect([...TABLE_NAMES].sort()).toEqual(kept.sort());
  const load = (overrides: string) =>
    loadConfig({ text: `[engine]\noverrides = ${overrides}`, file: 'c.toml', env: {}, home: '/h' });
  for (const table of TABLE_NAMES)
    expect(load(`{ ${table} = "memory" }`).engine.overrides).toEqual({ [table]: 'memory' });
  expect(() => load('{ nonsense = "memory" }')).toThrow(/c\.toml:2: engine\.overrides: .*provider_profiles/);
  expect(() => load('{ names = "floppy" }')).toThrow(/c\.toml:2: .*"level", "memory"/);
});
