import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/core/address.ts';
import { type CredentialSource, credentialsFrom } from '../../src/providers/credentials.ts';
import { createProvider, type ProviderDeps, type ProviderEntry } from '../../src/providers/provider.ts';
import type { AdapterEntry } from '../../src/providers/registry.ts';
import { createWireClient } from '../../src/providers/wire/client.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { deps } from './conform.ts';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-rotation-'));
const servers: Server[] = [];
afterAll(async () => {
  for (const server of servers) server.close();
  await rm(dir, { recursive: true });
});

const file = join(dir, 'secret.json');
async function secretIs(fields: Record<string, string>): Promise<void> {
  await writeFile(file, JSON.stringify(fields));
  await chmod(file, 0o600);
}

/** A server that lets in only whoever shows `accepted` in its authorization. */
async function guarded(
  accepted: () => string,
): Promise<{ url: string; refused: () => number; asked: () => number }> {
  let refused = 0;
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    const given = request.headers.authorization ?? '';
    request.resume();
    if (given.includes(accepted())) response.writeHead(200, { 'content-length': '0' }).end();
    else response.writeHead(++refused % 2 === 0 ? 403 : 401).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, refused: () => refused, asked: () => asked };
}

const all: ProviderDeps = { ...deps, env: {}, onAttempt: () => {}, log: () => {} };
const terms = { id: 'p', domain: { provider: 'p', account: 'b', region: 'c' }, price: 1, maxConcurrency: 4 };

describe('rotated credentials', () => {
  const source: CredentialSource = { file };
  const places: readonly [
    string,
    (url: string) => AdapterEntry,
    (secret: string) => Record<string, string>,
  ][] = [
    ['http', (url) => ({ adapter: 'http', url, credentials: source }), (token) => ({ token })],
    ['webdav', (url) => ({ adapter: 'webdav', url, credentials: source }), (token) => ({ token })],
    ['ipfs', (url) => ({ adapter: 'ipfs', gateway: url, credentials: source }), (token) => ({ token })],
    [
      's3',
      (endpoint) => ({ adapter: 's3', endpoint, region: 'r', bucket: 'b', credentials: source }),
      (key) => ({ access_key_id: key, secret_access_key: 's' }),
    ],
  ];
  it.each(places)('of %s are read again when the server refuses the old ones', async (_, entry, fields) => {
    let accepted = 'FIRST';
    const { url, refused, asked } = await guarded(() => accepted);
    await secretIs(fields('FIRST'));
    const { adapter } = await createProvider({ ...entry(url), ...terms } as ProviderEntry, all);
    const address = parseAddress(`b3:${'0'.repeat(64)}`);
    // What the answers mean is not the point here: only who is let in.
    const ask = () => adapter.exists(address).catch((error: unknown) => error);
    await ask();
    expect(refused()).toBe(0);
    accepted = 'SECOND';
    await secretIs(fields('SECOND'));
    const before = asked();
    await ask();
    expect([refused(), asked() - before - refused() > 0]).toEqual([1, true]);
    await ask();
    expect(refused()).toBe(1);
    await adapter.close();
  });

  it('are not read for every refusal: a wrong secret runs no program per request', async () => {
    const clock = new FakeClock();
    const counter = join(dir, 'runs');
    const read = credentialsFrom(
      { command: ['/bin/sh', '-c', `echo x >> ${counter}; echo '{"token":"wrong"}'`] },
      'p',
      { env: { PATH: '/usr/bin:/bin' }, clock },
    );
    const runs = async (): Promise<number> =>
      (await import('node:fs/promises')).readFile(counter, 'utf8').then((text) => text.length / 2);
    const used = await read();
    expect(await runs()).toBe(1);
    for (let i = 0; i < 5; i++) expect(await read.refused?.(await read())).toBe(false);
    expect(await runs()).toBe(2);
    await clock.advance(60_000);
    expect(await read.refused?.(used)).toBe(false);
    expect(await runs()).toBe(3);
  });
});

describe('a credentials program', () => {
  const print = (passEnv: readonly string[] = []): CredentialSource => ({
    command: ['/bin/sh', '-c', 'printf \'{"env":"%s"}\' "$(env | cut -d= -f1 | sort | tr "\\n" " ")"'],
    passEnv,
  });
  const env = {
    PATH: '/usr/bin:/bin',
    HOME: '/h',
    LC_ALL: 'C',
    VAULT_TOKEN: 'x',
    AWS_SECRET_ACCESS_KEY: 'y',
    HOLDFAST_PASSPHRASE: 'secret',
  };
  const names = async (source: CredentialSource): Promise<string[]> =>
    (await credentialsFrom(source, 'p', { env, clock: deps.clock })()).env!.split(' ');

  it('sees a few common variables, and what the configuration passes on', async () => {
    const given = await names(print());
    expect(given).toEqual(expect.arrayContaining(['PATH', 'HOME', 'LC_ALL']));
    for (const name of ['VAULT_TOKEN', 'AWS_SECRET_ACCESS_KEY', 'HOLDFAST_PASSPHRASE'])
      expect(given).not.toContain(name);
    const more = await names(print(['VAULT_TOKEN', 'HOLDFAST_PASSPHRASE']));
    expect(more).toContain('VAULT_TOKEN');
    expect(more).not.toContain('HOLDFAST_PASSPHRASE');
  });

  it('is no way to send a variable of ours', async () => {
    const read = credentialsFrom({ env: { token: 'HOLDFAST_PASSPHRASE' } }, 'p', { env, clock: deps.clock });
    const error = await read().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'credentials_invalid' });
    expect(String(error)).not.toContain('secret');
  });
});

describe('a secret', () => {
  it.each([
    ['authorization', 'Bearer t'],
    ['authorization', 'Basic dTpw'],
    ['x-amz-security-token', 't'],
  ])('in %s goes nowhere unencrypted, but to this machine', async (name, value) => {
    const send = async (origin: string): Promise<unknown> => {
      const wire = createWireClient({ origin });
      const signal = AbortSignal.timeout(50);
      const error = await wire
        .send({ method: 'GET', path: '/', headers: { [name]: value }, signal })
        .catch((thrown: unknown) => thrown);
      await wire.close();
      return error;
    };
    expect(await send('http://192.0.2.1:1')).toMatchObject({
      kind: 'ConfigInvalid',
      code: 'cleartext_secret',
    });
    for (const origin of [
      'http://127.0.0.1:1',
      'http://localhost:1',
      'http://[::1]:1',
      'https://192.0.2.1:1',
    ])
      expect(await send(origin), origin).not.toMatchObject({ code: 'cleartext_secret' });
  });
});
