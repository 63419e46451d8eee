import { connect } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { parseAddress } from '../../src/core/address.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import { noise, testVault } from '../helpers/vault.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { ADMIN, bearer, POLICY, READER, startGateway } from './harness.ts';

const CHUNK = 256 * 1024;
const MANIFEST = `b3:${'5'.repeat(64)}`;

describe('limits', () => {
  it('sheds a client that asks too often with 429 and Retry-After, and counts the reads it denied', async () => {
    const { put, url, metric } = await startGateway({ limits: { maxClientRps: 2 } });
    const manifest = await put(noise(10));
    const statuses = [];
    for (let i = 0; i < 6; i++) {
      const answer = await fetch(`${url}/m/${manifest}`);
      statuses.push(answer.status);
      if (answer.status === 429) expect(answer.headers.get('retry-after')).toMatch(/^[1-9]/);
      await answer.arrayBuffer();
    }
    const refused = statuses.filter((status) => status === 429).length;
    expect(refused).toBeGreaterThanOrEqual(3);
    expect(await metric('read_denied_total{reason="client_rps"}')).toBe(refused);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  it('sheds what is over max_inflight with 503 and takes requests again afterwards', async () => {
    const { put, url, traffic, metric } = await startGateway({ limits: { maxInflight: 2 } });
    const manifest = await put(noise(CHUNK));
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    traffic.before = () => gate;
    const held = [1, 2].map(() => fetch(`${url}/m/${manifest}`));
    await expect.poll(() => metric('inflight')).toBe(2);
    const refused = await fetch(`${url}/m/${manifest}`);
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1']);
    expect(await metric('read_denied_total{reason="max_inflight"}')).toBe(1);
    open();
    for (const answer of await Promise.all(held)) expect((await answer.arrayBuffer()).byteLength).toBe(CHUNK);
    expect((await fetch(`${url}/m/${manifest}`)).status).toBe(200);
  });

  it('counts reads that lack a token, or the scope', async () => {
    const { url, metric } = await startGateway({ anonymous: [] });
    await fetch(`${url}/n/a`);
    await fetch(`${url}/storage/manifests`, { headers: bearer(READER) });
    expect(await metric('read_denied_total{reason="unauthorized"}')).toBe(1);
    expect(await metric('read_denied_total{reason="forbidden"}')).toBe(1);
  });

  it('refuses requests that two readers could understand differently, and closes', async () => {
    const { port } = await startGateway();
    const bad = [
      'GET /m/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'GET /m/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      'GET /m/x HTTP/1.1\r\n\r\n',
      'GET /m/x HTTP/1.1\r\nHost : a\r\n\r\n',
      'GET /m/x HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n',
      'GET /n/a\u0000b HTTP/1.1\r\nHost: a\r\n\r\n',
      'GET /m/x HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\nRange: bytes=5-6\r\n\r\n',
    ];
    for (const text of bad) {
      const answer = await sendRaw(port, text);
      expect([text, answer.status, answer.closed]).toEqual([text, 400, true]);
    }
  });
});

describe('draining', () => {
  it('finishes what is under way, takes nothing new, and is not ready', async () => {
    const { gateway, put, url, port, traffic, metric } = await startGateway();
    const bytes = noise(4 * CHUNK);
    const manifest = await put(bytes);
    let open = (): void => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    traffic.before = () => gate;
    const held = fetch(`${url}/m/${manifest}`);
    await expect.poll(() => metric('inflight')).toBe(1);
    const drained = gateway.drain();
    await new Promise<void>((resolve) => {
      connect(port, '127.0.0.1').once('error', () => resolve());
    });
    open();
    expect(Buffer.from(await (await held).arrayBuffer()).equals(bytes)).toBe(true);
    await drained;
  });

  it('cuts what takes longer than the drain may', async () => {
    const { gateway, put, url, traffic, metric } = await startGateway({ limits: { drainMs: 50 } });
    const manifest = await put(noise(CHUNK));
    traffic.before = (signal) =>
      new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    const held = fetch(`${url}/m/${manifest}`);
    held.catch(() => {});
    await expect.poll(() => metric('inflight')).toBe(1);
    await gateway.drain();
    await expect(held).rejects.toThrow();
  });
});

describe('readiness', () => {
  it('fails when no provider answers', async () => {
    const { url, vault } = await startGateway();
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    for (const { id } of vault.providers) vault.gone.add(id);
    const answer = await fetch(`${url}/readyz`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ reads: false, writes: false, reasons: ['providers_unreachable'] });
  });
});

describe('readiness, provider by provider', () => {
  /** A gateway over nine providers, of which some do not answer; every object has shards at all of them. */
  async function without(count: number) {
    const vault = await testVault({ policy: { minTolerates: 2 } });
    const away = new Set(vault.providers.slice(0, count).map(({ id }) => id));
    Object.assign(vault.context.directory, { isResponsive: (id: string) => !away.has(id) });
    const { url } = await startGateway({ over: vault });
    const answer = await fetch(`${url}/readyz`);
    return [answer.status, await answer.json()];
  }

  it('says whether what is kept can be decoded, and whether more could be put', async () => {
    expect(await without(0)).toEqual([200, { reads: true, writes: true, reasons: [] }]);
    expect(await without(2)).toEqual([200, { reads: true, writes: true, reasons: [] }]);
    expect(await without(7)).toEqual([
      503,
      { reads: false, writes: false, reasons: ['undecodable', 'too_few_providers'] },
    ]);
    const all = { reads: false, writes: false, reasons: ['providers_unreachable'] };
    expect(await without(9)).toEqual([503, all]);
  });

  it('asks the providers anew, but not once for each who asks', async () => {
    let probes = 0;
    const { url } = await startGateway({ probe: async () => void probes++ });
    await Promise.all(Array.from({ length: 10 }, () => fetch(`${url}/readyz`)));
    expect(probes).toBe(1);
  });
});

describe('pages among the objects', () => {
  const html = Buffer.from('<script>alert(1)</script>');

  it('are sandboxed, unless the gateway serves a site', async () => {
    for (const [options, policy] of [
      [{}, 'sandbox'],
      [{ static: true }, undefined],
    ] as const) {
      const { port, put } = await startGateway(options);
      const manifest = await put(html, { contentType: 'text/html' });
      for (const headers of [{}, { 'if-none-match': '*' }] as Record<string, string>[]) {
        const answer = await sendRaw(port, requestText('GET', `/m/${manifest}`, headers));
        expect(answer.headers['content-security-policy']).toBe(policy);
        expect(answer.headers['x-content-type-options']).toBe('nosniff');
      }
    }
  });

  it('of other sites are served only where everyone may read, and never do more', async () => {
    const foreign = { Host: 'evil.example', origin: 'http://evil.example' };
    const headers = { ...foreign, 'content-type': 'application/json' };
    for (const [publicReads, status] of [
      [false, 421],
      [true, 200],
    ] as const) {
      const { port, put } = await startGateway({ publicReads, anonymous: ['read', 'admin'] });
      const manifest = await put(html);
      expect((await sendRaw(port, requestText('GET', `/m/${manifest}`, foreign))).status).toBe(status);
      expect((await sendRaw(port, requestText('POST', '/rpc', headers, '[]'))).status).toBe(421);
      expect((await sendRaw(port, requestText('GET', '/storage/providers', foreign))).status).toBe(421);
    }
  });
});

describe('a sealed gateway', () => {
  it('serves public parts, and says 403 where a key is needed', async () => {
    const open = await startGateway();
    const manifest = await open.put(noise(CHUNK), { name: 'secret-name', contentType: 'text/x-secret' });
    const { url, metric } = await startGateway({ over: open.vault, sealed: true });
    for (const path of [`/m/${manifest}`, '/n/secret-name', `/blob/${manifest}`, `/wasm/${manifest}`]) {
      const answer = await fetch(url + path);
      expect(answer.status).toBe(403);
      expect(await answer.json()).toMatchObject({ error: 'PermissionDenied' });
    }
    expect(await metric('read_denied_total{reason="sealed"}')).toBe(4);
    const block = await fetch(`${url}/manifests/${manifest}`);
    expect(block.headers.get('etag')).toBe(`"${manifest}"`);
    const bytes = Buffer.from(await block.arrayBuffer());
    const digest = Buffer.from(open.vault.context.blake3.hash(bytes)).toString('hex');
    expect(`b3:${digest}`).toBe(manifest);
    expect(bytes.includes('secret')).toBe(false);
    const packs = decodeRoot(bytes).body;
    if (!('segment' in packs)) throw new Error('one segment was expected');
    const { address, length } = packs.segment.packs[0]!;
    const pack = await fetch(`${url}/o/${address}`);
    const stored = Buffer.from(await pack.arrayBuffer());
    expect([pack.status, stored.length]).toEqual([200, length]);
    expect(`b3:${Buffer.from(open.vault.context.blake3.hash(stored)).toString('hex')}`).toBe(address);
    const listed = await (await fetch(`${url}/storage/manifests`, { headers: bearer(ADMIN) })).text();
    expect(listed).toContain(manifest);
    expect(listed).not.toContain('secret');
    expect(await (await fetch(`${url}/version`)).json()).toMatchObject({ sealed: true });
  });
});

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

  it('repairs when it is asked to, over HTTP and JSON-RPC alike, however long that takes', async () => {
    const asked: unknown[] = [];
    const repairs = {
      async run() {
        // Longer than a connection may be idle.
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

describe('who is credited', () => {
  it('names the same provider of the manifest for the same reservation', async () => {
    const { put, url, port, vault } = await startGateway();
    const manifest = await put(noise(CHUNK));
    const credited = async (key: string): Promise<string | null> =>
      (
        await fetch(`${url}/m/${manifest}`, { method: 'HEAD', headers: { 'x-reservation-key': key } })
      ).headers.get('x-holdfast-provider');
    expect(await credited('a')).toBe(await credited('a'));
    const seen = new Set<string | null>();
    for (let i = 0; i < 60; i++) seen.add(await credited(`reservation ${i}`.replace(' ', '-')));
    expect([...seen].sort()).toEqual(vault.providers.map(({ id }) => id));
    const raw = await sendRaw(port, requestText('HEAD', `/m/${manifest}`, {}));
    expect(raw.headers['x-holdfast-provider']).toMatch(/^p[1-9]$/);
  });
});
