import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type CredentialSource, credentialsFrom } from '../../src/providers/credentials.ts';
import { createProvider, type ProviderDeps, type ProviderEntry } from '../../src/providers/factory.ts';
import { initFsProvider } from '../../src/providers/fs/index.ts';
import { createMemoryAdapter } from '../../src/providers/memory/index.ts';
import { createRegistry } from '../../src/providers/registry.ts';
import { deps } from './conform.ts';
import { createFakeClock } from './fake-clock.ts';

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

describe('the registry', () => {
  it('refuses a second adapter with the same id', () => {
    const registry = createRegistry([createMemoryAdapter({ id: 'a', ...deps })]);
    expect(() => registry.register(createMemoryAdapter({ id: 'a', ...deps }))).toThrow(/already a provider/);
    registry.register(createMemoryAdapter({ id: 'b', ...deps }));
    expect(registry.list().map((adapter) => adapter.adapterId)).toEqual(['a', 'b']);
    expect(() => registry.get('c')).toThrow(/no provider/);
  });
});

describe('credentials', () => {
  const clock = createFakeClock();
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
