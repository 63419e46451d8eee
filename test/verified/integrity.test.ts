import { open, readFile, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { silentMetrics } from '../../src/telemetry/index.ts';
import { createVerifiedReader } from '../../src/verified/reader.ts';
import { noise } from '../helpers/vault.ts';
import {
  addressFor,
  asBody,
  bearer,
  blake3,
  requestText,
  sendRaw,
  startNode,
  type TestNode,
} from '../node/harness.ts';

const SIZE = 300_000;
const bytes = noise(SIZE, 11);
const address = addressFor(bytes);

/** Changes one byte in place; the length stays, and so, if asked, does the time. */
async function rot(path: string, at: number, options: { keepTimes?: boolean } = {}): Promise<void> {
  const before = await stat(path);
  const file = await open(path, 'r+');
  const one = Buffer.alloc(1);
  await file.read(one, 0, 1, at);
  one[0]! ^= 0x40;
  await file.write(one, 0, 1, at);
  await file.close();
  if (options.keepTimes) await utimes(path, before.atime, before.mtime);
}

const get = (node: TestNode, headers: Record<string, string> = {}) =>
  sendRaw(node.port, requestText('GET', `/o/${address}`, headers));

async function expectRefused(node: TestNode, headers: Record<string, string> = {}): Promise<void> {
  const answer = await get(node, headers);
  expect(answer.status).toBe(500);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ error: 'HashMismatch' });
  expect(answer.headers.etag).toBeUndefined();
}

describe('a blob that rotted on the disk', () => {
  it.each([
    ['before it was ever read', false, {}],
    ['after it was read', true, {}],
    ['after it was read, with its times put back', true, { keepTimes: true }],
  ])('is never served: %s', async (_, readFirst, options) => {
    for (const at of [0, 65_536, SIZE - 1]) {
      // By the quick look, by the adapter's, and without memory.
      const node = await startNode([{}, { peekStat: undefined }, { limits: { hotBytes: 0 } }][at % 3]!);
      await node.adapter.store(address, [bytes]);
      if (readFirst) expect((await get(node)).status).toBe(200);
      await rot(node.pathOf(address), at, options);
      await expectRefused(node);
      await expectRefused(node, { Range: 'bytes=100000-100009' });
      expect((await sendRaw(node.port, requestText('HEAD', `/o/${address}`))).status).toBe(500);
      expect(await node.metric('integrity_fail_total')).toBeGreaterThanOrEqual(3);
    }
  });

  it('is not served when it was cut, grown, replaced or removed either', async () => {
    const node = await startNode();
    const path = node.pathOf(address);
    await node.adapter.store(address, [bytes]);
    expect((await get(node)).status).toBe(200);
    await truncate(path, SIZE - 1);
    await expectRefused(node);
    await writeFile(path, Buffer.concat([bytes, Buffer.from('x')]));
    await expectRefused(node);
    await writeFile(path, noise(SIZE, 12));
    await expectRefused(node);
    await rm(path);
    expect((await get(node)).status).toBe(404);
    await writeFile(path, bytes);
    expect((await get(node)).status).toBe(200);
  });

  it('is replaced by the right bytes when they are put again', async () => {
    const node = await startNode();
    await node.adapter.store(address, [bytes]);
    await rot(node.pathOf(address), 5);
    const put = (): Promise<Response> =>
      fetch(`${node.url}/o/${address}`, {
        method: 'PUT',
        headers: { authorization: bearer('writer') },
        body: asBody(bytes),
      });
    expect((await put()).status).toBe(201);
    expect(Buffer.compare(await readFile(node.pathOf(address)), bytes)).toBe(0);
    expect((await get(node)).status).toBe(200);
    expect((await put()).status).toBe(200);
  });

  it('is found, and removed if asked, by a repair', async () => {
    const node = await startNode();
    const others = [1, 2, 3, 4].map((seed) => noise(1000, seed));
    for (const blob of [bytes, ...others]) await node.adapter.store(addressFor(blob), [blob]);
    expect((await get(node)).status).toBe(200);
    await rot(node.pathOf(address), 9);
    const repair = async (query: string): Promise<Record<string, unknown>> =>
      (await (
        await fetch(`${node.url}/admin/repair${query}`, {
          method: 'POST',
          headers: { authorization: bearer('admin') },
        })
      ).json()) as Record<string, unknown>;
    expect(await repair('')).toEqual({ checked: 5, checkedBytes: 4000, damaged: [address], removed: [] });
    await expectRefused(node);
    const paged = [await repair('?limit=3&remove=true')];
    paged.push(await repair(`?limit=3&remove=true&after=${paged[0]!.next}`));
    expect(paged.map(({ checked }) => checked)).toEqual([3, 2]);
    expect(paged.flatMap(({ removed }) => removed)).toEqual([address]);
    expect((await get(node)).status).toBe(404);
  });
});

describe('a disk that changes between two looks', () => {
  /** An adapter whose bytes are wrong from some moment on, while its `stat` swears that nothing happened. */
  function deceitful(): { adapter: BlobAdapter; turn: (at: number) => void } {
    let wrongAt: number | undefined;
    const bytesNow = (): Uint8Array => {
      const copy = bytes.slice();
      if (wrongAt !== undefined) copy[wrongAt]! ^= 1;
      return copy;
    };
    const adapter = {
      capabilities: {},
      stat: async () => ({
        size: SIZE,
        replicasObserved: 1,
        replicaTarget: 1,
        lastSeenUnixMs: 0,
        encoding: 'identity',
        revision: 'the same',
      }),
      async *fetchStream(_: BlobAddress, options: { offset?: number; length?: number } = {}) {
        const from = options.offset ?? 0;
        const to = from + (options.length ?? SIZE - from);
        for (let at = from; at < to; at += 10_000) yield bytesNow().subarray(at, Math.min(to, at + 10_000));
      },
      async fetchRange(_: BlobAddress, offset: number, [into]: readonly Uint8Array[]) {
        into!.set(bytesNow().subarray(offset, offset + into!.length));
      },
    } as unknown as BlobAdapter;
    return {
      adapter,
      turn: (at) => {
        wrongAt = at;
      },
    };
  }

  it('gives no wrong byte: what is read again is checked again', async () => {
    const { adapter, turn } = deceitful();
    const failures: string[] = [];
    const metrics = {
      ...silentMetrics.services,
      integrityFail: (reason: string) => void failures.push(reason),
    };
    const reader = createVerifiedReader({
      adapter,
      blake3,
      metrics,
      hot: { maxBytes: 0, maxBlobBytes: 0 },
      proofBytes: 1 << 20,
    });
    const blob = await reader.open(address);
    expect(blob.bytes).toBeUndefined();
    const at = 150_000;
    turn(at);
    const got: Uint8Array[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of blob.read({ start: 0, end: SIZE })) got.push(piece.slice());
    };
    await expect(read()).rejects.toMatchObject({ kind: 'HashMismatch' });
    const received = Buffer.concat(got);
    expect(received.length).toBe(2 * 65_536);
    expect(Buffer.compare(received, bytes.subarray(0, received.length))).toBe(0);
    expect(failures).toEqual(['piece']);
    await expect(reader.open(address)).rejects.toMatchObject({ kind: 'HashMismatch' });
    expect(addressOf(blake3.hash(bytes))).toBe(address);
  });

  it('shares one reading among all who ask at once, and outlives those who leave', async () => {
    const { adapter } = deceitful();
    let readings = 0;
    const counted = {
      ...adapter,
      fetchRange: (...args: Parameters<BlobAdapter['fetchRange']>) => {
        readings++;
        return adapter.fetchRange(...args);
      },
    };
    const reader = createVerifiedReader({
      adapter: counted,
      blake3,
      metrics: silentMetrics.services,
      hot: { maxBytes: 1 << 20, maxBlobBytes: 1 << 20 },
      proofBytes: 1 << 20,
    });
    const leaver = new AbortController();
    const asked = [
      reader.open(address, { signal: leaver.signal }),
      ...Array.from({ length: 9 }, () => reader.open(address)),
    ];
    leaver.abort();
    const results = await Promise.allSettled(asked);
    expect(results.map(({ status }) => status)).toEqual([
      'rejected',
      ...Array.from({ length: 9 }, () => 'fulfilled'),
    ]);
    expect(readings).toBe(1);
  });
});
