import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { TABLE_NAMES, WRITTEN_TOGETHER } from '../../src/engine/tables.ts';

const SRC = new URL('../../src/', import.meta.url);

it('every table that the program keeps can be given another engine, and nothing else can', () => {
  const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const kept = files.flatMap((name) =>
    [...readFileSync(new URL(name, SRC), 'utf8').matchAll(/TABLE = '([a-z_]+)'/g)].map(([, table]) => table),
  );
  expect([...TABLE_NAMES].sort()).toEqual([...new Set(kept)].sort());
  const load = (overrides: string) =>
    loadConfig({ text: `[engine]\noverrides = ${overrides}`, file: 'c.toml', env: {}, home: '/h' });
  for (const table of TABLE_NAMES.filter((name) => !WRITTEN_TOGETHER.includes(name)))
    expect(load(`{ ${table} = "memory" }`).engine.overrides).toEqual({ [table]: 'memory' });
  expect(() => load('{ nonsense = "memory" }')).toThrow(/c\.toml:2: engine\.overrides: .*provider_profiles/);
  expect(() => load('{ names = "floppy" }')).toThrow(/c\.toml:2: .*"level", "memory"/);
});

it('tables that are written together are kept together, or the configuration is refused', () => {
  const load = (engine: string) =>
    loadConfig({ text: `[engine]\n${engine}`, file: 'c.toml', env: {}, home: '/h' }).engine;
  const all = (tables: readonly string[]): string => tables.map((name) => `${name} = "memory"`).join(', ');
  for (const table of WRITTEN_TOGETHER) {
    expect(() => load(`overrides = { ${table} = "memory" }`)).toThrow(/c\.toml:2: .*different engines/);
  }
  const [one, ...others] = WRITTEN_TOGETHER;
  expect(() => load(`overrides = { ${all(others)} }`)).toThrow(new RegExp(`one engine for ${one}, `));
  expect(load(`overrides = { ${all(WRITTEN_TOGETHER)} }`).overrides).toMatchObject({ [one!]: 'memory' });
  expect(load(`default = "memory"\noverrides = { ${one} = "memory" }`).default).toBe('memory');
});
