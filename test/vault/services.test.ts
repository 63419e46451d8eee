import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { openCatalog } from '../../src/catalog.ts';
import { type ExecutionTerms, startGateway } from '../../src/gateway.ts';
import { openVault, type Vault } from '../../src/index.ts';
import { startNode } from '../../src/node.ts';
import { createMemoryAdapter, systemDeps } from '../../src/providers/index.ts';
import { type ExecutionReceipt, encodeReceipt, signExecution } from '../../src/receipts.ts';
import { reader as receiptSigner } from '../receipts/world.ts';

const deps = await systemDeps({});
const adapter = () => createMemoryAdapter({ ...deps, id: 'm' });
const bytes = Buffer.from('some bytes');
const address = `b3:${deps.blake3.hash(bytes).reduce((hex, byte) => hex + byte.toString(16).padStart(2, '0'), '')}`;

describe('startNode', () => {
  it('lets whoever has the token write, and everyone read', async () => {
    await using node = await startNode({ adapter: adapter(), token: 'a-token', env: {} });
    const url = `${node.url}/o/${address}`;
    const put = (headers: Record<string, string>) => fetch(url, { method: 'PUT', body: bytes, headers });
    const [without, wrong, right] = [
      await put({}),
      await put({ authorization: 'Bearer other' }),
      await put({ authorization: 'Bearer a-token' }),
    ];
    expect([without.status, wrong.status]).toEqual([401, 401]);
    expect(right.ok).toBe(true);
    expect(await (await fetch(url)).text()).toBe('some bytes');
  });

  it('refuses what it does not know, and a token that cannot be sent', async () => {
    const open = (more: object) => startNode({ adapter: adapter(), env: {}, ...more } as never);
    await expect(open({ prot: 1 })).rejects.toThrow('startNode: unknown option "prot"; did you mean "port"?');
    await expect(open({ token: 'a b' })).rejects.toMatchObject({ code: 'bad_option' });
    await expect(open({ host: '127.0.0.1', port: 1 << 15, unix: '/no/such/folder/s' })).rejects.toMatchObject(
      {
        code: 'listen_failed',
      },
    );
  });

  it('no longer answers once it is closed', async () => {
    const node = await startNode({ adapter: adapter(), env: {} });
    await node.close();
    await node.close();
    await expect(fetch(node.url)).rejects.toThrow();
  });
});

describe('startGateway', () => {
  let vault: Vault;
  beforeAll(async () => {
    const providers = ['a', 'b', 'c'].map((id) => ({ id, adapter: 'memory' }) as const);
    const config = { engine: { default: 'memory' }, providers } as const;
    vault = await openVault({ config, rootKey: new Uint8Array(32).fill(9), env: {} });
    await vault.putObject(bytes, { name: 'x' });
  });
  afterAll(() => vault.close());

  it('has executions written down that are signed for what it began, in a folder of receipts', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'holdfast-executions-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await using without = await startGateway({ vault });
    expect(without.executions).toBeUndefined();
    await using gateway = await startGateway({ vault, receipts: { folder, defaultDomain: 'pages.example' } });
    const executions = gateway.executions!;
    const page = { manifest: address, provider: 'a', path: '/page' };
    const signed = (terms: ExecutionTerms, change: Partial<ExecutionReceipt> = {}) =>
      encodeReceipt(
        signExecution(
          { ...terms, cpuUs: 12, diskRead: 0, diskWritten: 0, ts: Date.now(), ...change },
          receiptSigner,
        ),
      );
    const [one, other] = [executions.begin(page), executions.begin({ ...page, domain: 'd' })];
    expect([one.terms.domain, other.terms.domain]).toEqual(['pages.example', 'd']);
    expect(one.terms.executionId).not.toEqual(other.terms.executionId);
    for (const change of [{ provider: 'b' }, { domain: '' }, { manifest: new Uint8Array(32) }])
      expect(await one.end(signed(one.terms, change))).toBe('forged');
    expect(await one.end(signed(other.terms))).toBe('forged');
    expect(await one.end(bytes)).toBe('malformed');
    expect(await one.end(signed(one.terms, { ts: Date.now() + 3_600_000 }))).toBe('future');
    expect(await one.end(signed(one.terms))).toBeUndefined();
    expect(await one.end(signed(one.terms))).toBe('duplicate');
    expect(await (await fetch(`${gateway.url}/metrics`)).text()).toContain(
      'receipts_total{kind="execution"} 1',
    );
    expect(() => executions.begin({ ...page, manifest: 'x' })).toThrow();
    expect(() => executions.begin({ ...page, provider: '' })).toThrow('1 to 255 bytes');
  });

  it('serves a vault to this machine, and with a token to who has it', async () => {
    await using open = await startGateway({ vault });
    expect(await (await fetch(`${open.url}/n/x`)).text()).toBe('some bytes');
    await using shut = await startGateway({ vault, token: 'secret' });
    expect((await fetch(`${shut.url}/n/x`)).status).toBe(401);
    const allowed = await fetch(`${shut.url}/n/x`, { headers: { authorization: 'Bearer secret' } });
    expect([allowed.status, await allowed.text()]).toEqual([200, 'some bytes']);
    await using everyone = await startGateway({ vault, token: 'secret', publicReads: true });
    expect((await fetch(`${everyone.url}/n/x`)).status).toBe(200);
  });

  it('takes no vault that is none of this package', async () => {
    await expect(startGateway({ vault: {} as Vault })).rejects.toMatchObject({ code: 'bad_option' });
  });
});

it('openCatalog probes, ranks and puts out of service, without a vault', async () => {
  const providers = ['a', 'b'].map((id) => ({
    id,
    adapter: createMemoryAdapter({ ...deps, id }),
    domain: { provider: id, account: 'x', region: 'y' },
    price: 1,
    maxConcurrency: 4,
  }));
  const catalog = await openCatalog({ providers, policy: { probe: { timeoutMs: 1_000 } } });
  expect((await catalog.probeAll()).map(({ error }) => error)).toEqual([undefined, undefined]);
  await catalog.setMaintenance('a', true);
  const { candidates, leftOut } = catalog.eligible({ bytes: 1 });
  expect([candidates.map(({ provider }) => provider.id), leftOut.map(({ provider }) => provider.id)]).toEqual(
    [['b'], ['a']],
  );
  await expect(openCatalog({ providers, polcy: {} } as never)).rejects.toThrow(/did you mean "policy"/);
  await catalog.close();
});
