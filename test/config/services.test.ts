import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { ConfigProblem } from '../../src/config/problems.ts';
import { renderConfig, sectionsOf } from '../../src/config/render.ts';
import type { Config, ServingConfig } from '../../src/config/types.ts';
import { isHoldfastError } from '../../src/core/errors.ts';
import { DEFAULT_HTTP_LIMITS } from '../../src/http/limits.ts';
import { DEFAULT_LIMITS } from '../../src/node/context.ts';

const load = (text: string): Config => loadConfig({ text, file: 'my.toml', env: {}, home: '/h' });

function problemsOf(text: string): readonly ConfigProblem[] {
  try {
    load(text);
  } catch (error) {
    if (isHoldfastError(error, 'ConfigInvalid')) return error.context.problems as readonly ConfigProblem[];
    throw error;
  }
  throw new Error('the configuration was accepted');
}

const httpLimitsOf = (file: ServingConfig, limits: object): object =>
  Object.fromEntries(
    Object.keys(limits)
      .filter((key) => key in file)
      .map((key) => [key, file[key as keyof ServingConfig] || undefined]),
  );

describe('[node], [gateway] and [daemon]', () => {
  it('have the defaults that the services have by themselves', () => {
    const { node, gateway, daemon } = load('');
    const { maxHeaderBytes: _, ...limits } = DEFAULT_HTTP_LIMITS;
    expect(httpLimitsOf(node, limits)).toEqual(limits);
    expect(httpLimitsOf(gateway, limits)).toEqual({ ...limits, maxInflight: 256 });
    expect(httpLimitsOf(daemon, limits)).toEqual({ ...limits, maxInflight: 64 });
    expect([node.cacheBytes, node.cacheBlobBytes, node.maxBodyBytes, node.maxForeignBodyBytes]).toEqual([
      DEFAULT_LIMITS.hotBytes,
      DEFAULT_LIMITS.hotBlobBytes,
      DEFAULT_LIMITS.maxBodyBytes,
      DEFAULT_LIMITS.maxForeignBodyBytes,
    ]);
    expect(node.minFreeBytes).toBe(DEFAULT_LIMITS.minFreeBytes);
  });

  it.each([
    ['[node]\nmax_inflght = 3', 'node.max_inflght'],
    ['[node]\nchunk_cache_bytes = 3', 'node.chunk_cache_bytes'],
    ['[gateway]\nroot = "x"', 'gateway.root'],
    ['[gateway]\ntoken = "secret"', 'gateway.token'],
    ['[gateway]\nbind = "nowhere"', 'gateway.bind'],
    ['[daemon]\npublic = true', 'daemon.public'],
    ['[daemon]\ntls_key = "k"', 'daemon.tls_key'],
    ['[gateway]\nname_max_age_seconds = -1', 'gateway.name_max_age_seconds'],
    ['[gateway]\nchunk_cache_bytes = "64 MB"', 'gateway.chunk_cache_bytes'],
    ['[gateway]\npublic = "yes"', 'gateway.public'],
    ['[node]\nbackends = "p1"', 'node.backends'],
    ['[node]\nbackends = ["p1", "p77"]', 'node.backends'],
    ['[node]\nbackends = ["p1", "p1"]', 'node.backends'],
    ['[node]\nroot = "x"\nbackends = ["p1"]', 'node.backends'],
    ['[node]\nroot = "x"\namnesia = true', 'node.root'],
    ['[node]\nbind = "127.0.0.1:1"\ntls_cert = "c.pem"', 'node.tls_cert'],
    ['[gateway]\nbind = "127.0.0.1:1"\nclient_ca = "ca.pem"', 'gateway.client_ca'],
  ])('refuse %j', (text, key) => {
    expect(problemsOf(text)[0]).toMatchObject({ key, line: expect.any(Number), allowed: expect.any(String) });
  });

  it('take what a service needs', () => {
    const { node, gateway } = load(`
[node]
bind = "[::1]:7700"
backends = ["p2", "p1"]
drain_ms = 0
cache_bytes = 0
[gateway]
unix = "gateway.sock"
sealed = true
chunk_cache_bytes = "1 GiB"
`);
    expect([node.bind, node.backends, node.drainMs, node.cacheBytes]).toEqual([
      '[::1]:7700',
      ['p2', 'p1'],
      0,
      0,
    ]);
    expect([gateway.unix, gateway.sealed, gateway.chunkCacheBytes]).toEqual(['gateway.sock', true, 2 ** 30]);
  });
});

describe('the configuration in force', () => {
  const text =
    '[gateway]\npublic = true\nbind = "0.0.0.0:80"\n[engine]\noverrides = { provider_usage = "memory" }\n';

  it('reads back as the same configuration', () => {
    const config = load(text);
    expect(load(renderConfig(config))).toEqual(config);
    expect(load(renderConfig(load('')))).toEqual(load(''));
  });

  it('says what is not the default, and nothing of the rest', () => {
    const noted = renderConfig(load(text))
      .split('\n')
      .filter((line) => line.includes('# default'));
    expect(noted).toEqual([
      'overrides = { provider_usage = "memory" } # default: {}',
      'bind = "0.0.0.0:80" # default: ""',
      'public = true # default: false',
    ]);
  });

  it('has the names of the file', () => {
    expect(sectionsOf(load(text)).gateway).toMatchObject({ public: true, chunk_cache_bytes: 64 * 2 ** 20 });
  });
});
