import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createMemoryAdapter } from '../../src/providers/memory/driver.ts';
import { addressFor, bearer, deps, requestText, sendRaw, startNode } from './harness.ts';
import { A, ABSENT, BYTES, ETAG, HELLO, hello, OTHER, ROWS, SLOT } from './route-table.ts';

describe('every route under every condition', () => {
  it('answers as the table says, over a raw socket', async () => {
    const node = await startNode();
    await node.adapter.store(A, [BYTES]);
    for (const row of ROWS) {
      const answer = await sendRaw(node.port, requestText(...row.send));
      expect(answer.status, row.name).toBe(row.status);
      expect(answer.headers, row.name).toMatchObject(row.headers ?? {});
      expect(answer.headers['x-corr-id'], row.name).toMatch(/^[0-9a-z-]+$/);
      if (row.body !== undefined) expect(answer.body.toString(), row.name).toBe(row.body);
      if (row.status >= 400 && row.send[0] !== 'HEAD') {
        const problem = JSON.parse(answer.body.toString());
        expect(Object.keys(problem).sort(), row.name).toEqual(['corr_id', 'error', 'message']);
        expect(problem.corr_id).toBe(answer.headers['x-corr-id']);
        if (row.error !== undefined) expect(problem.error, row.name).toBe(row.error);
      }
    }
  });

  it('answers a HEAD like the GET, without the body', async () => {
    const node = await startNode();
    await node.adapter.store(A, [BYTES]);
    await node.adapter.writeSlot(SLOT, Buffer.from('one'), undefined);
    const targets = [
      `/o/${A}`,
      `/o/${ABSENT}`,
      '/o',
      `/slots/${SLOT}`,
      '/slots',
      '/healthz',
      '/readyz',
      '/version',
      '/none',
    ];
    for (const target of targets) {
      const headers = { 'X-Corr-ID': 'same' };
      const get = await sendRaw(node.port, requestText('GET', target, headers));
      const head = await sendRaw(node.port, requestText('HEAD', target, headers));
      const { date: _, ...expected } = get.headers;
      const { date: __, ...actual } = head.headers;
      expect(actual, target).toEqual(expected);
      expect(head.status, target).toBe(get.status);
      expect(head.body.length, target).toBe(0);
    }
  });

  it('is the same to curl', async () => {
    const node = await startNode();
    await node.adapter.store(A, [BYTES]);
    const curl = async (...args: string[]): Promise<string> =>
      (
        await promisify(execFile)('curl', [
          '-sS',
          '-o',
          '/dev/null',
          '-w',
          '%{http_code} %{size_download}',
          ...args,
        ])
      ).stdout;
    const url = `${node.url}/o/${A}`;
    expect(await curl(url)).toBe('200 200000');
    expect(await curl('-r', '-100', url)).toBe('206 100');
    expect(await curl('-r', '500-', url)).toBe('206 199500');
    expect(await curl('-H', `If-None-Match: ${ETAG}`, url)).toBe('304 0');
    expect(await curl('-I', url)).toBe('200 0');
    const auth = ['-H', `Authorization: ${bearer('keeper')}`];
    expect(await curl(...auth, '-X', 'PUT', '--data-binary', hello, `${node.url}/o/${HELLO}`)).toBe('201 0');
    expect(
      await curl(
        ...auth,
        '-H',
        'Expect: 100-continue',
        '-X',
        'PUT',
        '--data-binary',
        hello,
        `${node.url}/o/${HELLO}`,
      ),
    ).toBe('200 0');
    expect(await curl(...auth, '-X', 'DELETE', `${node.url}/o/${HELLO}`)).toBe('204 0');
  });

  it('takes a chunked body, and does not invite one that it refuses', async () => {
    const node = await startNode();
    const chunked = `POST /o HTTP/1.1\r\nHost: t\r\nAuthorization: ${bearer('writer')}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n`;
    expect(JSON.parse((await sendRaw(node.port, chunked)).body.toString())).toEqual({
      address: HELLO,
      size: 12,
    });
    const expecting = (token: string): string =>
      requestText('PUT', `/o/${OTHER}`, {
        Authorization: token,
        Expect: '100-continue',
        'Content-Length': '9',
      });
    expect((await sendRaw(node.port, expecting('Bearer wrong-wrong-wrong'))).status).toBe(401);
    expect((await sendRaw(node.port, expecting(bearer('writer')))).status).toBe(100);
  });

  it('echoes a correlation id that is harmless, and no other', async () => {
    const node = await startNode();
    const idOf = async (given: string): Promise<string | undefined> =>
      (await sendRaw(node.port, requestText('GET', '/healthz', { 'X-Corr-ID': given }))).headers['x-corr-id'];
    expect(await idOf('job-17:a_b.c')).toBe('job-17:a_b.c');
    for (const bad of ['x'.repeat(129), 'a b', '{"a":1}']) expect(await idOf(bad)).not.toBe(bad);
    expect(await idOf('x'.repeat(129))).not.toBe(await idOf('x'.repeat(129)));
  });

  it('logs each request once, without tokens', async () => {
    const node = await startNode();
    await sendRaw(
      node.port,
      requestText('POST', '/o', { Authorization: bearer('writer'), 'X-Corr-ID': 'logged' }, hello),
    );
    expect(node.access).toHaveLength(1);
    expect(node.access[0]).toMatchObject({
      corr_id: 'logged',
      client: '127.0.0.1',
      principal: 'writer',
      method: 'POST',
      target: '/o',
      route: '/o',
      status: 201,
      bytes_in: 12,
    });
    expect(JSON.stringify(node.access)).not.toContain('token-of');
  });

  it('counts requests by pattern, never by path', async () => {
    const node = await startNode();
    await sendRaw(node.port, requestText('GET', `/o/${ABSENT}`));
    const text = (await sendRaw(node.port, requestText('GET', '/metrics'))).body.toString();
    expect(text).toContain('requests_total{route="/o/{address}",code="404"} 1');
    expect(text).not.toContain(ABSENT);
  });
});

describe('a node whose reads need a token', () => {
  it('shows strangers nothing but its health', async () => {
    const node = await startNode({ anonymous: [] });
    await node.adapter.store(A, [BYTES]);
    const statusOf = async (target: string, headers = {}): Promise<number> =>
      (await sendRaw(node.port, requestText('GET', target, headers))).status;
    for (const target of [
      `/o/${A}`,
      `/o/${ABSENT}`,
      '/o',
      '/slots',
      `/slots/${SLOT}`,
      '/metrics',
      '/version',
    ]) {
      expect(await statusOf(target), target).toBe(401);
    }
    expect(await statusOf('/healthz')).toBe(200);
    expect(await statusOf('/readyz')).toBe(200);
    expect(await statusOf(`/o/${A}`, { Authorization: bearer('reader') })).toBe(200);
  });
});

describe('listings', () => {
  it('are paged in ascending order and complete', async () => {
    const node = await startNode({ adapter: createMemoryAdapter({ id: 'm', ...deps }) });
    const blobs = Array.from({ length: 300 }, (_, i) => Buffer.from(`blob ${i}`));
    for (const blob of blobs) await node.adapter.store(addressFor(blob), [blob]);
    const seen: string[] = [];
    let after = '';
    for (let page = 0; page < 100; page++) {
      const { addresses, next } = (await (await fetch(`${node.url}/o?limit=37&after=${after}`)).json()) as {
        addresses: string[];
        next?: string;
      };
      expect(addresses.length).toBeLessThanOrEqual(37);
      seen.push(...addresses);
      if (next === undefined) break;
      after = next;
    }
    expect(seen).toEqual(blobs.map(addressFor).sort());
    const one = (await (await fetch(`${node.url}/o?prefix=7`)).json()) as { addresses: string[] };
    expect(one.addresses).toEqual(seen.filter((address) => address.startsWith('b3:7')));
  });
});
