import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { SCHEMA, SECTION_NAMES } from '../../src/config/schema.ts';
import { tomlKey } from '../../src/core/fields.ts';

const file = 'config/storage.toml';
const text = readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const load = (toml: string) => loadConfig({ text: toml, file, env: {}, home: '/home/of/state' });

describe('the shipped config/storage.toml', () => {
  it('says exactly what an empty file means', () => {
    expect(load(text)).toEqual(load(''));
  });

  it('holds every key of every section, and nothing else', () => {
    const { providers, ...sections } = parse(text) as Record<string, Record<string, unknown>>;
    const keys = Object.fromEntries(
      Object.entries(sections).map(([name, table]) => [name, Object.keys(table)]),
    );
    expect(keys).toEqual(
      Object.fromEntries(SECTION_NAMES.map((name) => [name, Object.keys(SCHEMA[name]).map(tomlKey)])),
    );
    expect(providers).toHaveLength(9);
  });

  it('explains every key in a comment above it', () => {
    const lines = text.slice(0, text.indexOf('\n[[providers]]')).split('\n');
    expect(lines.filter((line, i) => /^[a-z_]+ = /.test(line) && !lines[i - 1]!.startsWith('# '))).toEqual(
      [],
    );
  });

  it('puts nine fs providers under the home', () => {
    const { providers } = load(text);
    expect(providers.map(({ id }) => id)).toEqual(['p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7', 'p8', 'p9']);
    expect(providers[8]).toEqual({
      id: 'p9',
      adapter: 'fs',
      root: '/home/of/state/providers/p9',
      domain: { provider: 'p9', account: 'default', region: 'unknown' },
      credits: undefined,
      price: 1,
      maxConcurrency: 4,
    });
  });

  it('is frozen all through', () => {
    const config = load(text);
    expect(Object.isFrozen(config.chunks.ladder) && Object.isFrozen(config.providers[0]!.domain)).toBe(true);
    expect(() => Object.assign(config.erasure, { dataShards: 1 })).toThrow(TypeError);
  });
});
