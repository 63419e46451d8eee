import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { integer, text } from '../../src/core/fields.ts';
import { type CredentialSource, credentialsFrom } from '../../src/providers/credentials.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { type AdapterKind, optional } from '../../src/providers/kind.ts';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { createProvider, type ProviderDeps, type ProviderEntry } from '../../src/providers/provider.ts';
import { adapterKinds, openAdapter } from '../../src/providers/registry.ts';

import { FakeClock } from '../helpers/fake-clock.ts';
import { deps } from './conform.ts';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-factory-'));
afterAll(() => rm(dir, { recursive: true }));
const lines: unknown[] = [];
const all: ProviderDeps = {
  ...deps,
  env: { KEY: 'k', SECRET: 's' },
  onAttempt: () => {},
  log: (...line) => lines.push(line),
};
const terms = {
  domain: { provider: 'a', account: 'b', region: 'c' },
  credits: 5,
  price: 2,
  maxConcurrency: 3,
};

describe('createProvider', () => {
  it('makes a working provider of an entry, with what the operator said about it', async () => {
    const root = join(dir, 'p1');
    await initFsProvider(root, 'p1');
    const { adapter, ...rest } = await createProvider({ id: 'p1', adapter: 'fs', root, ...terms }, all);
    expect(rest).toEqual({ id: 'p1', ...terms });
    const { address } = await adapter.storeStream(
      undefined,
      (async function* () {
        yield Uint8Array.of(1, 2, 3);
      })(),
    );
    expect(await adapter.fetch(address)).toEqual(Uint8Array.of(1, 2, 3));
    await adapter.close();
  });

  it('asks for credentials when they are needed, and never shows them', async () => {
    const entry: ProviderEntry = {
      id: 's',
      adapter: 's3',
      endpoint: 'http://127.0.0.1:1',
      region: 'r',
      bucket: 'bucket',
      credentials: { env: { access_key_id: 'KEY', secret_access_key: 'MISSING' } },
      ...terms,
    };
    const { adapter } = await createProvider(entry, all);
    const missing = { kind: 'ConfigInvalid', code: 'credentials_invalid', provider: 's' };
    await expect(adapter.probe()).rejects.toMatchObject(missing);
    await adapter.close();
  });
});

describe('kinds of adapters', () => {
  const mine: AdapterKind = {
    name: 'mine',
    keys: {},
    open: async ({ id }) => ({ ...createMemoryAdapter({ id, ...deps }), acceptedSchemes: ['cid', 'sha256'] }),
  };

  it('refuse a second one of a name, and one that is none', () => {
    expect(() => adapterKinds([mine, mine])).toThrow(/two kinds of adapters called "mine"/);
    expect(() => adapterKinds([{ ...mine, name: 's3' }])).toThrow(/two kinds of adapters called "s3"/);
    expect(() => adapterKinds([{ ...mine, name: 'Mine' }])).toThrow(/bad one/);
    expect(() => adapterKinds([{ name: 'mine' } as AdapterKind])).toThrow(/lacks keys or open/);
    const key = { field: text('', /^a$/, 'a'), required: false, default: 'a', help: '' };
    expect(() => adapterKinds([{ ...mine, keys: { maxConcurrency: key } }])).toThrow(/"maxConcurrency"/);
  });

  it('refuse an adapter that does not take the addresses in use, and say which it takes', async () => {
    const opened = openAdapter({ id: 'p', adapter: 'mine' }, all, adapterKinds([mine]));
    await expect(opened).rejects.toMatchObject({
      kind: 'UnsupportedScheme',
      provider: 'p',
      context: { accepted: ['cid', 'sha256'] },
    });
    await expect(openAdapter({ id: 'p', adapter: 'yours' }, all)).rejects.toMatchObject({
      code: 'unknown_kind',
      hint: expect.stringMatching(/^There are fs, http, .*webdav\.$/),
    });
  });

  it('give what an entry leaves out its default', async () => {
    let seen: unknown;
    const kind: AdapterKind = {
      ...mine,
      keys: {
        depth: optional(integer(3, 1, 9), 'how deep', 3),
        name: optional(text('', /^a$/, 'a'), 'what'),
      },
      async open(options) {
        seen = options;
        return createMemoryAdapter({ id: options.id, ...deps });
      },
    };
    const { adapter } = await createProvider(
      { id: 'p', adapter: 'mine', ...terms },
      { ...all, kinds: adapterKinds([kind]) },
    );
    await adapter.close();
    expect(seen).toEqual({ id: 'p', depth: 3, name: undefined });
  });
});

describe('credentials', () => {
  const clock = new FakeClock();
  const from = (source: CredentialSource) => credentialsFrom(source, 'p', { env: { A: 'alpha' }, clock });

  it('come from environment variables', async () => {
    expect(await from({ env: { token: 'A' } })()).toEqual({ token: 'alpha' });
    await expect(from({ env: { token: 'B' } })()).rejects.toMatchObject({ code: 'credentials_invalid' });
  });

  it('come from a file that only its owner can read', async () => {
    const file = join(dir, 'secret.json');
    await writeFile(file, '{"token":"hunter2"}', { mode: 0o600 });
    expect(await from({ file })()).toEqual({ token: 'hunter2' });
    for (const others of [0o040, 0o020, 0o010, 0o004, 0o002, 0o001]) {
      await chmod(file, 0o600 | others);
      await expect(from({ file })(), others.toString(8)).rejects.toThrow(/chmod 600/);
    }
  });

  it('come from a command, and what goes wrong never quotes them', async () => {
    expect(await from({ command: ['echo', '{"token":"hunter2"}'] })()).toEqual({ token: 'hunter2' });
    for (const script of ['echo hunter2', 'echo hunter2 >&2; exit 3', 'echo [1]']) {
      const error = await from({ command: ['sh', '-c', script] })().catch((e: unknown) => e as Error);
      expect(error).toMatchObject({ code: 'credentials_invalid', provider: 'p' });
      expect(`${JSON.stringify(error)} ${(error as Error).message}`).not.toContain('hunter2');
    }
  });

  it('are asked for once, and again before they expire', async () => {
    const counter = join(dir, 'count');
    const expires = new Date(clock.now() + 600_000).toISOString();
    const script = `echo x >>${counter}; echo '{"n":"'$(wc -l <${counter})'","expires_at":"${expires}"}'`;
    const get = from({ command: ['sh', '-c', script] });
    expect((await get()).n).toBe('1');
    expect((await get()).n).toBe('1');
    await clock.advance(500_000);
    expect((await get()).n).toBe('1');
    await clock.advance(50_000);
    expect((await get()).n).toBe('2');
  });

  it('are asked for again after a failure', async () => {
    const file = join(dir, 'late.json');
    const get = from({ file });
    await expect(get()).rejects.toThrow(/cannot be read/);
    await writeFile(file, '{"token":"t"}', { mode: 0o600 });
    expect(await get()).toEqual({ token: 't' });
  });
});
