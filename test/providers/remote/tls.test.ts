import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { addressOf } from '../../../src/core/address.ts';
import { createHttpAdapter, type NodeOptions } from '../../../src/providers/http/driver.ts';
import { createMemoryAdapter } from '../../../src/providers/memory/driver.ts';
import type { ProviderDeps } from '../../../src/providers/provider.ts';
import { type AdapterEntry, openAdapter } from '../../../src/providers/registry.ts';
import { createWebDavAdapter } from '../../../src/providers/webdav/driver.ts';
import { createAuthority, hasOpenssl } from '../../helpers/authority.ts';
import { noise, readAll } from '../../helpers/vault.ts';
import { serveNode } from '../../remote/node.ts';
import { openOver } from '../../remote/vaults.ts';
import { startServer } from '../../servers/servers.ts';
import { blake3, deps, describeConformance } from '../conform.ts';

const dir = await mkdtemp(join(tmpdir(), 'holdfast-tls-'));
afterAll(() => rm(dir, { recursive: true, force: true }));

if (!hasOpenssl()) it.skip('openssl is not installed', () => {});
else {
  const authority = createAuthority(dir);
  const server = authority.issue('server');
  const client = authority.issue('client');
  const stranger = createAuthority(dir, 'another').issue('stranger');
  const node = await serveNode(createMemoryAdapter({ id: 'behind', ...deps }), {
    ...server,
    clientCa: authority.ca,
  });
  afterAll(() => node.close());
  const apache = await startServer('apache-dav');
  afterAll(() => apache?.stop());

  const url = `https://127.0.0.1:${node.port}`;
  const known = { ca: authority.ca, clientCert: client.cert, clientKey: client.key };
  const open = (tls: Partial<NodeOptions> = known) =>
    createHttpAdapter({ id: 'h', url, credentials: async () => ({}), ...tls, ...deps });
  const bytes = deps.random(3000);
  const address = addressOf(blake3.hash(bytes));

  describeConformance('a storage node behind mutual TLS', { open });

  describe('mutual TLS', () => {
    it.each([
      ['nothing', {}],
      ['a certificate of another authority', { clientCert: stranger.cert, clientKey: stranger.key }],
    ])('who shows %s is refused, and hears what it may be', async (_, identity) => {
      const adapter = open({ ca: authority.ca, ...identity });
      // The node only closes the connection, so it may be anything.
      const hint = expect.stringContaining('client_cert_file');
      const refused = { kind: 'Unavailable', provider: 'h', hint };
      await expect(adapter.probe()).rejects.toMatchObject(refused);
      await expect(adapter.fetch(address)).rejects.toMatchObject(refused);
      await expect(adapter.store(address, [bytes])).rejects.toMatchObject(refused);
      await adapter.close();
    });

    it('shows its certificate to no server of an authority that was not named', async () => {
      const adapter = open({ ...known, ca: undefined });
      await expect(adapter.probe()).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'tls_untrusted' });
      await adapter.close();
    });
  });

  describe.skipIf(apache === undefined)('a WebDAV server that asks for a certificate', () => {
    it('serves who has one, and tells the others', async () => {
      const pem = (name: string) => readFile(join(apache!.dir, name), 'utf8');
      const place = {
        url: `https://localhost:${apache!.port + 2}/p%C3%A4ck%20s`,
        ca: await pem('cert.pem'),
        credentials: async () => ({ username: 'user', password: 'pass word' }),
      };
      const identity = { clientCert: await pem('client.pem'), clientKey: await pem('client.key') };
      const adapter = createWebDavAdapter({ id: 'w', ...place, ...identity, ...deps });
      await adapter.store(address, [bytes]);
      expect(await adapter.fetch(address)).toEqual(bytes);
      await adapter.close();
      const nobody = createWebDavAdapter({ id: 'w', ...place, ...deps });
      await expect(nobody.fetch(address)).rejects.toMatchObject({ code: 'tls_refused', status: 'permanent' });
      await nobody.close();
    });
  });

  describe('the files of the configuration', () => {
    const all: ProviderDeps = { ...deps, env: {}, onAttempt: () => {}, log: () => {} };
    const entry: Extract<AdapterEntry, { readonly adapter: 'http' }> = {
      adapter: 'http',
      url,
      caFile: authority.caFile,
    };
    const files = { clientCertFile: client.certFile, clientKeyFile: client.keyFile };
    const make = (more: Partial<Extract<AdapterEntry, { readonly adapter: 'http' }>>) =>
      openAdapter({ id: 'h', ...entry, ...more }, all);
    const invalid = { kind: 'ConfigInvalid', provider: 'h' };

    it('are read', async () => {
      await chmod(client.keyFile, 0o600);
      const adapter = await make(files);
      await adapter.store(address, [bytes]);
      expect(await adapter.fetch(address)).toEqual(bytes);
      await adapter.close();
    });

    it('serve a vault, as storage.toml names them', async () => {
      await chmod(client.keyFile, 0o600);
      const keys = `adapter = "http"
url = "${url}"
ca_file = "${authority.caFile}"
client_cert_file = "${client.certFile}"
client_key_file = "${client.keyFile}"`;
      const vault = await openOver(dir, [{ id: 'h', domain: 'h', keys }], '[placement]\nmin_tolerates = 0');
      const object = noise(100_000);
      await vault.putObject(object, { name: 'x' });
      expect(Buffer.compare(await readAll(await vault.getObject('x')), object)).toBe(0);
      await vault.close();
    });

    it('are refused when others can read the key, and when one is missing or alone', async () => {
      await chmod(client.keyFile, 0o644);
      await expect(make(files)).rejects.toMatchObject({ ...invalid, message: /chmod 600/ });
      await chmod(client.keyFile, 0o600);
      for (const alone of [{ clientKeyFile: client.keyFile }, { clientCertFile: client.certFile }])
        await expect(make(alone)).rejects.toMatchObject({ ...invalid, message: /only one of/ });
      const none = make({ ...files, clientCertFile: join(dir, 'none') });
      await expect(none).rejects.toMatchObject({ ...invalid, message: /no such file/ });
    });

    it('are refused when nothing can come of them', async () => {
      await chmod(client.keyFile, 0o600);
      await chmod(server.keyFile, 0o600);
      const refused = (message: RegExp) => ({ ...invalid, code: 'bad_tls_files', message });
      const noCa = make({ caFile: server.keyFile });
      await expect(noCa).rejects.toMatchObject(refused(/no certificate in/));
      const others = make({ ...files, clientKeyFile: server.keyFile });
      await expect(others).rejects.toMatchObject(refused(/cannot be used/));
    });
  });
}
