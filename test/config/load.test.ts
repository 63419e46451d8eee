import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { ConfigProblem } from '../../src/config/problems.ts';
import type { Config } from '../../src/config/types.ts';
import { HoldfastError, isHoldfastError } from '../../src/core/errors.ts';

type Env = Record<string, string>;
const load = (text: string, env: Env = {}): Config => loadConfig({ text, file: 'my.toml', env, home: '/h' });

function problemsOf(text: string, env: Env = {}): readonly ConfigProblem[] {
  return refusal(text, env).context.problems as readonly ConfigProblem[];
}

function refusal(text: string, env: Env = {}): HoldfastError {
  try {
    load(text, env);
  } catch (error) {
    if (isHoldfastError(error, 'ConfigInvalid')) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('a file that changes a little', () => {
  it('keeps every other default', () => {
    const { erasure, chunks, ...rest } = load('[erasure]\ndata_shards = 12\nlocal_parity = 4\n');
    const defaults = load('');
    expect(erasure).toEqual({ ...defaults.erasure, dataShards: 12, localParity: 4 });
    expect(chunks).toEqual(defaults.chunks);
    expect(rest.providers).toEqual(defaults.providers);
  });

  it.each([
    ['8388608', 8388608],
    ['"8MiB"', 8388608],
    ['"8 MiB"', 8388608],
    ['"512 KiB"', 524288],
    ['"1 GiB"', 2 ** 30],
    ['"65536 B"', 65536],
  ])('takes the size %s', (written, bytes) => {
    expect(load(`[packs]\ntarget_bytes = ${written}`).packs.targetBytes).toBe(bytes);
  });

  it.each([
    '8.5',
    '"8 MB"',
    '"8 mib"',
    '"-8 MiB"',
    '"MiB"',
    '""',
    '-1',
    '1',
    '99999999999999999999',
    'true',
    'inf',
  ])('refuses the size %s', (written) => {
    expect(problemsOf(`[packs]\ntarget_bytes = ${written}`)[0]).toMatchObject({
      line: 2,
      key: 'packs.target_bytes',
    });
  });

  it('replaces the providers, and completes each', () => {
    const { providers } = load(`[[providers]]
id = "b2"
adapter = "fs"
root = "/mnt/b2"
domain = { provider = "backblaze", region = "eu" }
credits = 10
price = 0.5
max_concurrency = 2
[[providers]]
id = "ram"
adapter = "memory"
`);
    expect(providers).toEqual([
      {
        id: 'b2',
        adapter: 'fs',
        root: '/mnt/b2',
        domain: { provider: 'backblaze', account: 'default', region: 'eu' },
        credits: 10,
        price: 0.5,
        maxConcurrency: 2,
      },
      {
        id: 'ram',
        adapter: 'memory',
        domain: { provider: 'ram', account: 'default', region: 'unknown' },
        credits: undefined,
        price: 1,
        maxConcurrency: 4,
      },
    ]);
  });
});

describe('a file that is wrong', () => {
  it('is refused with file, line, key and what is allowed', () => {
    const error = refusal('\n# mine\n[compression]\nalgorithm = "brotli"\n');
    expect(error.message).toBe(
      'my.toml:4: compression.algorithm: is "brotli"; allowed: "none", "zstd", "deflate", "lz77-rle", "rle"',
    );
    expect(error.context).toMatchObject({ file: 'my.toml', line: 4, key: 'compression.algorithm' });
    expect(error.context.allowed).toContain('"zstd"');
  });

  it('has all its problems named at once, by line', () => {
    const text = `[erasure]
data_shards = 300
shards = 1

[kitchen]
sink = true
[limits]
request_ms = "soon"

[[providers]]
id = "UPPER"
adapter = "fs"
`;
    expect(problemsOf(text).map(({ line, key }) => [line, key])).toEqual([
      [2, 'erasure.data_shards'],
      [3, 'erasure.shards'],
      [5, 'kitchen'],
      [8, 'limits.request_ms'],
      [10, 'providers[0].root'],
      [11, 'providers[0].id'],
    ]);
    expect(refusal(text).message.split('\n')).toHaveLength(6);
  });

  it.each([
    ['a TOML syntax error', '[chunks]\nmode = = 1', 2, ''],
    ['a key twice', '[chunks]\nmode = "adaptive"\nmode = "adaptive"', 3, ''],
    ['a section that is a value', 'chunks = 1', 1, 'chunks'],
    ['a section that is a list', '[[chunks]]', 1, 'chunks'],
    ['a dotted unknown key', 'erasure.nope = 1', 1, 'erasure.nope'],
    ['an inherited name as a section', '[constructor]', 1, 'constructor'],
    ['an inherited name as a key', '[erasure]\ntoString = 1', 2, 'erasure.toString'],
    ['__proto__', '[erasure]\n__proto__ = { data_shards = 1 }', 2, 'erasure.__proto__'],
    ['a float for an integer', '[erasure]\ndata_shards = 16.0', 2, 'erasure.data_shards'],
    ['nan', '[chunks]\ntarget_seconds = nan', 2, 'chunks.target_seconds'],
    ['a ladder that does not ascend', '[chunks]\nladder = ["1 MiB", "1 MiB"]', 2, 'chunks.ladder'],
    ['an empty ladder', '[chunks]\nladder = []', 2, 'chunks.ladder'],
    ['a start off the ladder', '[chunks]\nladder = ["2 MiB"]', 2, 'chunks.ladder'],
    ['a group without members', '[erasure]\nlocal_parity = 17', 2, 'erasure.local_parity'],
    ['a group emptied from the other side', '[erasure]\ndata_shards = 4', 2, 'erasure.data_shards'],
    [
      'more shards than a code can have',
      '[erasure]\nalgorithm = "reed-solomon"\nparity_shards = 240',
      3,
      'erasure.parity_shards',
    ],
    ['more overlay than a code can have', '[fountain]\nshards = 232', 2, 'fountain.shards'],
    ['an overlay of no shards', '[fountain]\nshards = 0', 2, 'fountain.shards'],
    ['shards of no overlay', '[fountain]\nkind = "none"', 2, 'fountain.kind'],
    [
      'a level deflate does not have',
      '[compression]\nlevel = 12\nalgorithm = "deflate"',
      2,
      'compression.level',
    ],
    [
      'an arena too small for a chunk',
      '[limits]\nmemory_bytes = "16 MiB"\n[chunks]\nladder = ["1 MiB", "8 MiB"]',
      2,
      'limits.memory_bytes',
    ],
    ['an unknown engine for a table', '[engine.overrides]\nnames = "sqlite"', 1, 'engine.overrides'],
    ['no providers', 'providers = []', 1, 'providers'],
    ['an unknown adapter', '[[providers]]\nid = "a"\nadapter = "ftp"', 3, 'providers[0].adapter'],
    [
      'a key of another adapter',
      '[[providers]]\nid = "a"\nadapter = "memory"\nroot = "x"',
      4,
      'providers[0].root',
    ],
    [
      'an id used twice',
      '[[providers]]\nid = "a"\nadapter = "memory"\n[[providers]]\nadapter = "memory"\nid = "a"',
      6,
      'providers[1].id',
    ],
    [
      'a root used twice',
      '[[providers]]\nid="a"\nadapter="fs"\nroot="x/"\n[[providers]]\nid="b"\nadapter="fs"\nroot="y/../x"',
      8,
      'providers[1].root',
    ],
    [
      'an unknown label',
      '[[providers]]\nid="a"\nadapter="memory"\n[providers.domain]\nplanet="mars"',
      5,
      'providers[0].domain.planet',
    ],
    ['negative credits', '[[providers]]\nid="a"\nadapter="memory"\ncredits=-1', 4, 'providers[0].credits'],
  ])('is refused: %s', (_, text, line, key) => {
    expect(problemsOf(text)).toEqual([expect.objectContaining({ file: 'my.toml', line, key })]);
    expect(problemsOf(text)[0]!.allowed).not.toBe('');
  });

  it('is refused when it is absurdly long, before it is parsed', () => {
    expect(refusal('#'.repeat(300_000)).message).toMatch(/^my.toml:1: is 300000 characters long/);
  });

  it('is refused when it nests without end', () => {
    expect(problemsOf(`a = ${'['.repeat(5000)}`)[0]!.problem).toContain('not valid TOML');
  });

  it('never fails in another way, whatever the text', () => {
    const piece = fc.constantFrom(
      '[',
      ']',
      '[[',
      ']]',
      '{',
      '}',
      '=',
      '.',
      ',',
      '"',
      "'",
      '"""',
      '\n',
      '#',
      'id',
      'chunks',
      'providers',
      'erasure',
      'data_shards',
      '16',
      '1.5',
      'true',
      '1979-05-27',
      ' ',
      '\\',
      '\u0000',
      'é',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        try {
          load(pieces.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(HoldfastError);
          expect((error as HoldfastError).kind).toBe('ConfigInvalid');
        }
      }),
      { numRuns: process.env.SLOW ? 50_000 : 2_000 },
    );
  });
});

describe('storage_legacy_mode', () => {
  it('keeps records where the release before did whatever else is said, and warns until when', () => {
    const other = '[engine]\ndefault = "postgres"\noverrides = { provider_profiles = "memory" }\n';
    expect(load(other).engine.default).toBe('postgres');
    const { engine, warnings } = load(`${other}storage_legacy_mode = true\n`);
    expect(engine).toMatchObject({ default: 'level', overrides: {} });
    expect(warnings).toEqual([
      { code: 'storage_legacy_mode', message: expect.stringContaining('ends with version 0.2.0') },
    ]);
  });
});

describe('a fallback algorithm', () => {
  const xor = '[erasure]\nalgorithm = "xor"\n';
  const allow = '[rollout]\nallow_fallback_coder = true\n';

  it('is refused unless the rollout permits it', () => {
    expect(problemsOf(xor)[0]).toMatchObject({ line: 2, key: 'erasure.algorithm' });
    expect(problemsOf(xor)[0]!.problem).toContain('allow_fallback_coder');
    expect(load(xor + allow).warnings).toEqual([]);
  });

  it('needs the emergency switch where that is required, and then warns', () => {
    const required = `${xor}${allow}require_emergency_switch = true\n`;
    expect(problemsOf(required)[0]!.problem).toContain('HOLDFAST_STORAGE_FALLBACK_EMERGENCY');
    const { warnings } = load(required, { HOLDFAST_STORAGE_FALLBACK_EMERGENCY: 'on' });
    expect(warnings.map(({ code }) => code)).toEqual(['storage_erasure_fallback_emergency']);
  });

  it('is gated by its own permission, not by the other one', () => {
    const rle = '[compression]\nalgorithm = "rle"\n';
    expect(problemsOf(rle + allow)[0]).toMatchObject({ key: 'compression.algorithm' });
    const both = `${rle}[rollout]\nallow_fallback_compressor = true\nrequire_emergency_switch = true\nemergency_switch_env = "BREAK_GLASS"`;
    expect(problemsOf(both)[0]!.problem).toContain('BREAK_GLASS');
    const { warnings } = load(both, { BREAK_GLASS: 'yes' });
    expect(warnings.map(({ code }) => code)).toEqual(['storage_compression_fallback_emergency']);
  });
});
