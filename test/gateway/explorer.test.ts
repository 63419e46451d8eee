import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/core/address.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { GatewayOptions } from '../../src/gateway/gateway.ts';
import { noise } from '../helpers/vault.ts';
import { ADMIN, bearer, POLICY, READER, startGateway } from './harness.ts';

const CHUNK = 256 * 1024;
const MANIFEST = `b3:${'5'.repeat(64)}`;

interface Page {
  readonly policy: unknown;
  readonly manifests: readonly { readonly manifest: string }[];
}

describe('the explorer and JSON-RPC', () => {
  const pageOf = async (url: string, limit: number): Promise<Page> => {
    const answer = await fetch(`${url}/storage/manifests?limit=${limit}`, { headers: bearer(ADMIN) });
    return (await answer.json()) as Page;
  };

  const call = async (url: string, body: unknown): Promise<unknown> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const headers = { ...bearer(ADMIN), 'content-type': 'application/json' };
    const answer = await fetch(`${url}/rpc`, { method: 'POST', headers, body: text });
    return answer.status === 204 ? 204 : answer.json();
  };

  it('shows manifests newest first with code, codec, fallback use, and the policy in force', async () => {
    const { put, url } = await startGateway();
    const first = await put(noise(CHUNK));
    const second = await put(noise(10));
    const page = await pageOf(url, 2);
    expect(page.policy).toEqual(POLICY);
    expect(page.manifests.map((entry) => entry.manifest).sort()).toEqual([first, second].sort());
    const coded = page.manifests.find((entry) => entry.manifest === first);
    expect(coded).toMatchObject({
      chunks: 1,
      code: 'lrc(16+5+3+3w)',
      compression: 'none',
      fallback: { erasure: false, compression: false },
      certificate: { tolerates: 3 },
    });
    const one = await pageOf(url, 1);
    expect(one.manifests).toHaveLength(1);
  });

  it('lists what was repaired, over HTTP and JSON-RPC alike', async () => {
    const repair = {
      kind: 'repair',
      manifest: parseAddress(`b3:${'5'.repeat(64)}`),
      status: 'success',
      bytes: 7,
      atMs: 1,
      chunk: 2,
    } as const;
    const { url } = await startGateway({
      history: async function* (limit) {
        for (let i = 0; i < limit; i++) yield { ...repair, chunk: limit };
      },
    });
    const answer = await fetch(`${url}/storage/repair-history?limit=2`, { headers: bearer(ADMIN) });
    expect(await answer.json()).toEqual({ repairs: [repair, repair] });
    const history = { jsonrpc: '2.0', method: 'storage.repair_history', params: [2], id: 1 };
    expect(await call(url, history)).toMatchObject({ result: { repairs: [repair, repair] } });
    expect(await call(url, { ...history, params: { limit: 1001 } })).toMatchObject({
      error: { code: -32602 },
    });
    expect((await fetch(`${url}/storage/repair-history`, { headers: bearer(READER) })).status).toBe(403);
  });

  it('tells the status, over HTTP and JSON-RPC alike', async () => {
    const { url } = await startGateway();
    const answer = await fetch(`${url}/storage/status`, { headers: bearer(ADMIN) });
    expect(await answer.json()).toEqual({ standing: 'confirmed' });
    const asked = { jsonrpc: '2.0', method: 'storage.status', id: 1 };
    expect(await call(url, asked)).toMatchObject({ result: { standing: 'confirmed' } });
    expect(await call(url, { ...asked, params: { limit: 1 } })).toMatchObject({ error: { code: -32602 } });
    expect((await fetch(`${url}/storage/status`, { headers: bearer(READER) })).status).toBe(403);
  });

  it('plans evacuation and its kin, and does them when that is confirmed, over HTTP and JSON-RPC alike', async () => {
    const asked: unknown[] = [];
    const moves: GatewayOptions['moves'] = {
      plan: async (task) => ({ plan: asked.push(['plan', task]) }),
      run: async (task) => ({ result: asked.push(['run', task]) }),
    };
    const { url } = await startGateway({ moves });
    const post = (path: string, token = ADMIN) =>
      fetch(`${url}/storage/${path}`, { method: 'POST', headers: bearer(token) });
    const rpc = (method: string, params: unknown) =>
      call(url, { jsonrpc: '2.0', method: `storage.${method}`, params, id: 1 });
    expect(await (await post('evacuate?provider=p3')).json()).toEqual({ plan: 1 });
    expect(await (await post('evacuate?provider=p3&minTolerates=2&confirm=true')).json()).toEqual({
      result: 2,
    });
    expect(await rpc('replace', { old: 'p3', by: 'p4', confirm: true })).toMatchObject({
      result: { result: 3 },
    });
    expect(await rpc('rebalance', {})).toMatchObject({ result: { plan: 4 } });
    expect(await (await post('recode?code=lrc&name=x')).json()).toEqual({ plan: 5 });
    expect(await rpc('recode', { code: 'lrc', all: true, confirm: true })).toMatchObject({
      result: { result: 6 },
    });
    expect(asked).toEqual([
      ['plan', { verb: 'evacuate', provider: 'p3' }],
      ['run', { verb: 'evacuate', provider: 'p3', minTolerates: 2 }],
      ['run', { verb: 'replace', provider: 'p3', by: 'p4' }],
      ['plan', { verb: 'rebalance' }],
      ['plan', { verb: 'recode', code: 'lrc', name: 'x' }],
      ['run', { verb: 'recode', code: 'lrc' }],
    ]);
    for (const wrong of [
      'evacuate',
      'evacuate?provider=p3&confirm=yes',
      'replace?old=p3',
      'rebalance?all=true',
    ])
      expect((await post(wrong)).status).toBe(400);
    for (const wrong of ['recode?code=lrc', 'recode?code=lrc&name=x&all=true', 'recode?all=true'])
      expect((await post(wrong)).status).toBe(400);
    expect(await rpc('recode', { code: 'lrc' })).toMatchObject({ error: { code: -32602 } });
    expect((await post('evacuate?provider=p3', READER)).status).toBe(403);
    expect(asked).toHaveLength(6);
  });

  it('repairs when it is asked to, over HTTP and JSON-RPC alike, however long that takes', async () => {
    const asked: unknown[] = [];
    const repairs = {
      async run() {
        // Longer than a silent client is waited for.
        await setTimeout(400);
        asked.push('run');
        return { manifests: 1 };
      },
      async chunk(at: object) {
        asked.push(at);
        if (asked.length > 4) throw new HoldfastError('Conflict', 'busy', { code: 'repair_running' });
        return { status: 'success' };
      },
    };
    const { url } = await startGateway({ repairs, limits: { idleMs: 100 } });
    const post = (path: string, token = ADMIN) =>
      fetch(`${url}/storage/${path}`, { method: 'POST', headers: bearer(token) });
    expect(await (await post('repair-run')).json()).toEqual({ manifests: 1 });
    const run = { jsonrpc: '2.0', method: 'storage.repair_run', id: 1 };
    expect(await call(url, run)).toMatchObject({ result: { manifests: 1 } });
    const chunk = `repair-chunk?manifest=${MANIFEST}&chunk=3`;
    expect(await (await post(`${chunk}&force=true`)).json()).toEqual({ status: 'success' });
    const params = { manifest: MANIFEST, chunk: 4 };
    const one = { jsonrpc: '2.0', method: 'storage.repair_chunk', params, id: 1 };
    expect(await call(url, one)).toMatchObject({ result: { status: 'success' } });
    expect(asked).toEqual([
      'run',
      'run',
      { manifest: MANIFEST, chunk: 3, force: true },
      { manifest: MANIFEST, chunk: 4, force: false },
    ]);
    expect((await post(chunk)).status).toBe(409);
    expect(await call(url, one)).toMatchObject({
      error: { code: -32603, data: { error: 'Conflict', corr_id: expect.any(String) } },
    });
    expect((await post('repair-run', READER)).status).toBe(403);
    expect((await post(`repair-chunk?manifest=x&chunk=3`)).status).toBe(400);
    expect((await fetch(`${url}/storage/repair-run`, { headers: bearer(ADMIN) })).status).toBe(405);
  });

  it('answers calls, batches and notifications as JSON-RPC 2.0 says', async () => {
    const { put, url } = await startGateway();
    const manifest = await put(noise(10));
    const manifests = { jsonrpc: '2.0', method: 'storage.manifests', params: { limit: 5 }, id: 1 };
    expect(await call(url, manifests)).toMatchObject({
      jsonrpc: '2.0',
      id: 1,
      result: { manifests: [{ manifest }], policy: POLICY },
    });
    expect(await call(url, { ...manifests, params: [5], id: 'x' })).toMatchObject({ id: 'x', result: {} });
    const providers = { jsonrpc: '2.0', method: 'storage.providers', id: null };
    expect(await call(url, providers)).toMatchObject({
      id: null,
      result: { providers: [{ id: 'p1' }, {}, {}, {}, {}, {}, {}, {}, {}] },
    });
    const notification = { jsonrpc: '2.0', method: 'storage.providers' };
    expect(await call(url, notification)).toBe(204);
    expect(await call(url, [notification, providers])).toHaveLength(1);
    expect(await call(url, [notification])).toBe(204);
  });

  it.each([
    ['{', -32700, null],
    ['[]', -32600, null],
    ['1', -32600, null],
    [{ jsonrpc: '1.0', method: 'storage.providers', id: 1 }, -32600, null],
    [{ jsonrpc: '2.0', method: 7, id: 1 }, -32600, null],
    [{ jsonrpc: '2.0', method: 'storage.providers', params: 'x', id: 1 }, -32600, null],
    [Array.from({ length: 33 }, () => ({})), -32600, null],
    [{ jsonrpc: '2.0', method: 'storage.repair_all', id: 4 }, -32601, 4],
    [{ jsonrpc: '2.0', method: 'storage.repair_run', params: { all: true }, id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.repair_chunk', id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.repair_chunk', params: ['x', 0], id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.repair_chunk', params: [MANIFEST, -1], id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.repair_chunk', params: [MANIFEST, 0, 1], id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: '__proto__', id: 4 }, -32601, 4],
    [{ jsonrpc: '2.0', method: 'storage.manifests', params: { limit: 0 }, id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.manifests', params: { limit: '1' }, id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.manifests', params: { size: 1 }, id: 4 }, -32602, 4],
    [{ jsonrpc: '2.0', method: 'storage.providers', params: [1], id: 4 }, -32602, 4],
  ])('refuses %j with %d', async (body, code, id) => {
    const { url } = await startGateway();
    expect(await call(url, body)).toMatchObject({ jsonrpc: '2.0', error: { code }, id });
  });
});
