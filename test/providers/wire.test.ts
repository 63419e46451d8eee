import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { HoldfastError } from '../../src/core/errors.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createHttpAdapter } from '../../src/providers/http/driver.ts';
import { withTimeout } from '../../src/providers/layers/index.ts';
import { createS3Adapter } from '../../src/providers/s3/driver.ts';
import { blake3, deps } from './conform.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const bytes = deps.random(100_000);
const address = addressOf(blake3.hash(bytes));
const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A server that misbehaves as told; its address. */
async function serve(answer: Answer): Promise<string> {
  const server = createServer(answer);
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function facing(answer: Answer, clock: Clock = deps.clock): Promise<BlobAdapter> {
  const adapter = createHttpAdapter({
    id: 'h',
    url: await serve(answer),
    credentials: async () => ({}),
    ...deps,
    clock,
  });
  cleanUps.push(() => adapter.close());
  return adapter;
}

const drain = async (stream: AsyncIterable<Uint8Array>): Promise<number> => {
  let size = 0;
  for await (const piece of stream) size += piece.length;
  return size;
};

describe('against a server that misbehaves, an adapter', () => {
  it('takes a body that is cut short for a failure, not for the end', async () => {
    const adapter = await facing((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 50_000), () => response.destroy());
    });
    await expect(adapter.fetch(address)).rejects.toMatchObject({ kind: 'Unavailable', status: 'temporary' });
    await expect(drain(adapter.fetchStream(address))).rejects.toMatchObject({ kind: 'Unavailable' });
  });

  it('asks a node to replace, and tells what one of an earlier version makes of that', async () => {
    const asked: string[] = [];
    const adapter = await facing((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      // It looks at what it has and answers that it is there, whatever it was asked.
      request.resume().on('end', () => response.writeHead(200, { etag: `"${address}"` }).end());
    });
    expect(await adapter.store(address, [bytes], { replace: true })).toEqual({ existed: true });
    const source = (async function* () {
      yield bytes;
    })();
    expect(await adapter.storeStream(address, source, { replace: true })).toMatchObject({ existed: true });
    expect(asked).toEqual(Array(2).fill(`PUT /o/${address}?replace=true`));
  });

  it('says that a bucket keeps what is there, and does not say so of what is not there', async () => {
    let there = true;
    const place = { endpoint: '', bucket: 'b', region: 'r', pathStyle: true };
    const endpoint = await serve((request, response) => {
      if (request.method === 'HEAD') response.writeHead(there ? 200 : 404, { 'content-length': 5 }).end();
      else request.resume().on('end', () => response.writeHead(403).end());
    });
    const credentials = async () => ({ accessKeyId: 'a', secretAccessKey: 's' });
    const adapter = createS3Adapter({ id: 's', ...place, endpoint, credentials, ...deps });
    cleanUps.push(() => adapter.close());
    const replaced = () => adapter.store(address, [bytes], { replace: true });
    await expect(replaced()).rejects.toMatchObject({ kind: 'PermissionDenied', code: 'replace_refused' });
    there = false;
    await expect(replaced()).rejects.toMatchObject({ kind: 'PermissionDenied', code: 'PermissionDenied' });
  });

  it('stops an endless body at the limit', async () => {
    const adapter = await facing((_, response) => {
      response.writeHead(200);
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(65_536), () => setImmediate(more));
      };
      more();
    });
    await expect(adapter.fetch(address, { maxBytes: 1_000_000 })).rejects.toMatchObject({
      kind: 'RangeNotSatisfiable',
    });
    await adapter.fetchRange(address, 10, [new Uint8Array(1000)]);
  });

  it('gets the right window from a server that ignores ranges', async () => {
    const adapter = await facing((_, response) => response.end(bytes));
    const into = [new Uint8Array(5), new Uint8Array(70_000)];
    await adapter.fetchRange(address, 20_000, into);
    expect(Buffer.concat(into).equals(bytes.subarray(20_000, 90_005))).toBe(true);
    const beyond = adapter.fetchRange(address, 99_999, [new Uint8Array(2)]);
    await expect(beyond).rejects.toMatchObject({ kind: 'RangeNotSatisfiable' });
  });

  it('does not take another range for the one asked for', async () => {
    const adapter = await facing((_, response) => {
      response.writeHead(206, { 'content-range': 'bytes 0-9/100' });
      response.end(bytes.subarray(0, 10));
    });
    await expect(adapter.fetchRange(address, 50, [new Uint8Array(10)])).rejects.toMatchObject({
      code: 'wrong_range',
    });
  });

  it('passes on how long to wait', async () => {
    const adapter = await facing((_, response) => response.writeHead(429, { 'retry-after': '7' }).end());
    await expect(adapter.probe()).rejects.toMatchObject({
      kind: 'RateLimited',
      context: { retryAfterMs: 7000 },
    });
  });

  it.each([
    ['Tue, 01 Jan 2030 00:00:30 GMT', 30_000],
    ['Mon, 31 Dec 2029 00:00:30 GMT', 0],
    ['soon', undefined],
  ])('understands to wait until %s', async (when, waitMs) => {
    const clock = { ...deps.clock, now: () => Date.UTC(2030, 0, 1) };
    const late = await facing((_, response) => response.writeHead(429, { 'retry-after': when }).end(), clock);
    const error: unknown = await late.probe().catch((reason) => reason);
    expect(error).toMatchObject({ kind: 'RateLimited' });
    expect((error as HoldfastError).context.retryAfterMs).toBe(waitMs);
  });

  it('passes on why a node is not ready', async () => {
    const adapter = await facing((_, response) =>
      response.writeHead(503).end('{"reads":true,"writes":false,"reasons":["storage_full","overloaded"]}'),
    );
    await expect(adapter.probe()).rejects.toMatchObject({
      kind: 'Unavailable',
      message: 'the server answered 503 storage_full, overloaded',
    });
  });

  it('follows no redirect, and so carries no credentials elsewhere', async () => {
    let visits = 0;
    const elsewhere = await serve((_, response) => {
      visits++;
      response.end();
    });
    const adapter = await facing((_, response) =>
      response.writeHead(307, { location: `${elsewhere}/o` }).end(),
    );
    await expect(adapter.fetch(address)).rejects.toMatchObject({ kind: 'ConfigInvalid', code: 'redirected' });
    await expect(adapter.store(address, [bytes])).rejects.toMatchObject({ code: 'redirected' });
    expect(visits).toBe(0);
  });

  it('fails an upload whose connection is reset', async () => {
    const adapter = await facing((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else request.once('data', () => request.socket.destroy());
    });
    const large = deps.random(4_000_000);
    const attempt = adapter.store(addressOf(blake3.hash(large)), [large]);
    await expect(attempt).rejects.toMatchObject({ kind: 'Unavailable', status: 'temporary' });
  });

  it('hears of a refusal in the middle of a stream, and stops', async () => {
    const adapter = await facing((request, response) => {
      request.once('data', () => response.writeHead(507, { connection: 'close' }).end());
    });
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (; sent < 10_000; sent++) {
        yield new Uint8Array(65_536);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const error = await adapter.storeStream(address, endless()).catch((e: unknown) => e);
    expect(error).toMatchObject({ provider: 'h' });
    expect(['QuotaExceeded', 'Unavailable']).toContain((error as { kind: string }).kind);
    expect(sent).toBeLessThan(10_000);
  });

  it('is freed by its deadline from one that never answers', async () => {
    const silent = await facing(() => {});
    const adapter = withTimeout(silent, { ...deps, callTimeoutMs: 50, minBytesPerSecond: 1e9 });
    await expect(adapter.fetchRange(address, 0, [new Uint8Array(10)])).rejects.toMatchObject({
      kind: 'Timeout',
    });
    await expect(adapter.store(address, [bytes])).rejects.toMatchObject({ kind: 'Timeout' });
    await expect(drain(adapter.fetchStream(address))).rejects.toMatchObject({ kind: 'Timeout' });
    await adapter.close();
  });

  it('is freed by its deadline from one that stalls in mid-body', async () => {
    const stalling = await facing((_, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 1000));
    });
    const adapter = withTimeout(stalling, { ...deps, callTimeoutMs: 50, minBytesPerSecond: 1e9 });
    const into = new Uint8Array(50_000);
    await expect(adapter.fetchRange(address, 0, [into])).rejects.toMatchObject({ kind: 'Timeout' });
    await expect(adapter.fetch(address)).rejects.toMatchObject({ kind: 'Timeout' });
    await adapter.close();
  });
});

describe('an S3 adapter', () => {
  const place = { id: 's', region: 'eu-1', bucket: 'my-bucket', ...deps };

  it('puts the bucket into the host name where told to, and sends the session token', async () => {
    const seen: IncomingMessage[] = [];
    const endpoint = await serve((request, response) => {
      seen.push(request);
      response.writeHead(200, { 'content-length': 5 }).end();
    });
    const keys = { accessKeyId: 'a', secretAccessKey: 's', sessionToken: 'session' };
    const credentials = async () => keys;
    const host = endpoint.replace('127.0.0.1', 'localhost');
    for (const pathStyle of [true, false]) {
      const adapter = createS3Adapter({ ...place, endpoint: host, pathStyle, prefix: 'p/', credentials });
      await adapter.stat(address).catch(() => {}); // a resolver need not know my-bucket.localhost
      await adapter.close();
    }
    expect(seen[0]!.url).toBe(`/my-bucket/p/blobs/${address.slice(3)}`);
    expect(seen[0]!.headers['x-amz-security-token']).toBe('session');
    for (const request of seen.slice(1)) {
      expect(request.headers.host).toMatch(/^my-bucket\.localhost:/);
      expect(request.url).toBe(`/p/blobs/${address.slice(3)}`);
    }
  });

  it('keeps no slots where the server ignores conditions', async () => {
    const endpoint = await serve((request, response) => {
      request.resume();
      const list = '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>';
      response.writeHead(200, { etag: '"e"' }).end(request.method === 'GET' ? list : '');
    });
    const credentials = async () => ({ accessKeyId: 'a', secretAccessKey: 's' });
    const adapter = createS3Adapter({ ...place, endpoint, credentials });
    const write = adapter.writeSlot('0'.repeat(16), new Uint8Array(), undefined);
    await expect(write).rejects.toMatchObject({ kind: 'PermissionDenied', code: 'unsupported' });
    await adapter.close();
  });
});
