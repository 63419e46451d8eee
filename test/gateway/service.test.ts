import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ProviderOverrides } from '../../src/gateway/credit.ts';
import { decodeRoot } from '../../src/manifest/root.ts';
import { noise, testVault } from '../helpers/vault.ts';
import { requestText, sendRaw } from '../node/harness.ts';
import { ADMIN, bearer, READER, startGateway } from './harness.ts';

const CHUNK = 256 * 1024;

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
    const reasons = ['providers_unreachable'];
    expect(await answer.json()).toMatchObject({ reads: false, writes: false, reasons });
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
    const { gates: _gates, ...said } = (await answer.json()) as Record<string, unknown>;
    return [answer.status, said];
  }

  it('says whether what is kept can be decoded, and whether more could be put', async () => {
    const ready = [200, { reads: true, writes: true, reasons: [], shut: [] }];
    expect(await without(0)).toEqual(ready);
    expect(await without(2)).toEqual(ready);
    expect(await without(7)).toEqual([
      503,
      {
        ...{ reads: false, writes: false, reasons: ['undecodable', 'too_few_providers'] },
        shut: ['placement_cache', 'writes'],
      },
    ]);
    const all = {
      reads: false,
      writes: false,
      reasons: ['providers_unreachable'],
      shut: ['placement_cache'],
    };
    expect(await without(9)).toEqual([503, all]);
  });

  const report = async (url: string, plane = ''): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${url}/readyz${plane}`);
    return { status: answer.status, ...((await answer.json()) as object) };
  };

  it('names the gate that is shut, and shuts those behind it', async () => {
    const hangs = await startGateway({ readPace: () => new Promise(() => {}) });
    // The deadline is the gateway's own: a count that never comes is a gate that is shut.
    expect(await report(hangs.url)).toMatchObject({
      ...{ status: 200, reads: true, writes: false, reasons: ['repair_unpaced'], shut: ['repair_pacer'] },
      gates: [
        { gate: 'engine', needs: [], open: true },
        { gate: 'placement_cache', needs: ['engine'], open: true },
        { gate: 'repair_pacer', needs: ['placement_cache'], open: false },
        { gate: 'loops', needs: ['repair_pacer'], reasons: [], open: false },
        { gate: 'reads', needs: ['placement_cache'], open: true },
        { gate: 'writes', needs: ['loops', 'reads'], reasons: [], open: false },
      ],
    });
    const vault = await testVault();
    const { url } = await startGateway({ over: vault });
    await vault.context.engine.close();
    expect(await report(url)).toMatchObject({ status: 503, reads: false, shut: ['engine'] });
    expect(await report(url, '?plane=read')).toMatchObject({ status: 503 });
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
describe('who is credited', () => {
  it('is a provider of the manifest, the same whatever the client says, and what an override says', async () => {
    const overrides = new ProviderOverrides();
    const { put, url } = await startGateway({ overrides });
    const manifest = await put(noise(CHUNK));
    const credited = async (key: string, kind = 'm'): Promise<string | null> =>
      (
        await fetch(`${url}/${kind}/${manifest}`, { method: 'HEAD', headers: { 'x-reservation-key': key } })
      ).headers.get('x-holdfast-provider');
    const seen = new Set<string | null>();
    for (let i = 0; i < 20; i++) seen.add(await credited(`reservation-${i}`));
    expect([...seen]).toEqual([expect.stringMatching(/^p[1-9]$/)]);
    overrides.set(manifest, 'mirror', 'wasm');
    expect(await credited('a', 'wasm')).toBe('mirror');
    expect([...seen]).toContain(await credited('a', 'blob'));
    overrides.clear(manifest, 'wasm');
    expect([...seen]).toContain(await credited('a', 'wasm'));
  });
});
