import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { HoldfastError } from '../../src/core/errors.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { mirrorOf } from '../../src/providers/layers/index.ts';
import { createHedgedRead } from '../../src/verified/hedged-read.ts';
import { FakeClock } from '../helpers/fake-clock.ts';
import { flipBit } from '../helpers/files.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, bearer, deps, startNode, type TestNode } from '../node/harness.ts';

const BYTES = noise(300_000, 21);
const ADDRESS = addressFor(BYTES);

interface Mirror {
  readonly node: TestNode;
  readonly backends: readonly BlobAdapter[];
  /** The file of a blob at a backend. */
  fileAt(backend: number): string;
}

/** A node over two folders. @param wrap replaces a backend's adapter. */
async function startMirror(
  options: { wrap?: (adapter: BlobAdapter, index: number) => BlobAdapter; hotBytes?: number } = {},
): Promise<Mirror> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-mirror-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const roots = ['a', 'b'].map((id) => join(folder, id));
  const backends: BlobAdapter[] = [];
  for (const [i, root] of roots.entries()) {
    await initFsProvider(root, `b${i}`);
    const adapter = createFsAdapter({ id: `b${i}`, root, ...deps });
    backends.push(options.wrap?.(adapter, i) ?? adapter);
  }
  const [first, ...rest] = backends;
  const adapter = mirrorOf('mirror', [first!, ...rest]);
  const node = await startNode({ adapter, backends, limits: { hotBytes: options.hotBytes ?? 0 } });
  const fileAt = (i: number): string => join(roots[i]!, 'blobs', ADDRESS.slice(3, 5), ADDRESS.slice(5));
  return { node, backends, fileAt };
}

const put = ({ node }: Mirror): Promise<Response> =>
  fetch(`${node.url}/o/${ADDRESS}`, {
    method: 'PUT',
    headers: { authorization: bearer('admin') },
    body: new Uint8Array(BYTES),
  });
const get = async ({ node }: Mirror, headers: Record<string, string> = {}): Promise<[number, Buffer]> => {
  const answer = await fetch(`${node.url}/o/${ADDRESS}`, { headers });
  return [answer.status, Buffer.from(await answer.arrayBuffer())];
};

describe('a node over two backends', () => {
  it('puts at both, and serves what either has', async () => {
    const mirror = await startMirror();
    expect((await put(mirror)).status).toBe(201);
    for (const i of [0, 1]) expect((await readFile(mirror.fileAt(i))).equals(BYTES)).toBe(true);
    await rm(mirror.fileAt(0));
    expect(await get(mirror)).toEqual([200, Buffer.from(BYTES)]);
    expect(await get(mirror, { range: 'bytes=100000-100999' })).toEqual([
      206,
      Buffer.from(BYTES.subarray(100_000, 101_000)),
    ]);
    await rm(mirror.fileAt(1));
    expect((await get(mirror))[0]).toBe(404);
  });

  it.each([
    ['kept in memory', 64 * 1024 * 1024],
    ['read every time', 0],
  ])('serves the second when the first is corrupt, and counts it: %s', async (_, hotBytes) => {
    const mirror = await startMirror({ hotBytes });
    await put(mirror);
    expect((await get(mirror))[0]).toBe(200);
    await flipBit(mirror.fileAt(0), 1_200_000);
    for (const headers of [{}, { range: 'bytes=150000-150009' }]) {
      const [status, body] = await get(mirror, headers);
      expect([status, body.equals(BYTES) || body.equals(BYTES.subarray(150_000, 150_010))]).toEqual([
        'range' in headers ? 206 : 200,
        true,
      ]);
    }
    expect(await mirror.node.metric('integrity_fail_total')).toBeGreaterThan(0);
    await flipBit(mirror.fileAt(1), 1_300_000);
    const [status, body] = await get(mirror);
    expect([status, JSON.parse(body.toString())]).toMatchObject([500, { error: 'HashMismatch' }]);
  });

  it('goes on with the second where the first fails in the middle of an answer', async () => {
    let broken = false;
    const wrap = (adapter: BlobAdapter, index: number): BlobAdapter => ({
      ...adapter,
      async *fetchStream(address, options) {
        for await (const piece of adapter.fetchStream(address, options)) {
          yield piece;
          if (index === 0 && broken) throw new HoldfastError('Unavailable', 'the disk went away');
        }
      },
    });
    const mirror = await startMirror({ wrap });
    await put(mirror);
    expect((await get(mirror))[0]).toBe(200);
    broken = true;
    expect(await get(mirror)).toEqual([200, Buffer.from(BYTES)]);
  });

  it('does not wait for a first that hangs', async () => {
    const wrap = (adapter: BlobAdapter, index: number): BlobAdapter =>
      index === 1
        ? adapter
        : {
            ...adapter,
            stat: (_, options) => hang(options?.signal),
            async *fetchStream(_, options) {
              yield await hang(options?.signal);
            },
          };
    const mirror = await startMirror({ wrap });
    await mirror.backends[1]!.store(ADDRESS, [BYTES]);
    expect(await get(mirror)).toEqual([200, Buffer.from(BYTES)]);
  });

  it('writes a copy that rotted or is missing again when it is told to repair', async () => {
    const mirror = await startMirror();
    await put(mirror);
    const repair = async (): Promise<unknown> => {
      const headers = { authorization: bearer('admin') };
      return (await fetch(`${mirror.node.url}/admin/repair`, { method: 'POST', headers })).json();
    };
    await flipBit(mirror.fileAt(0), 8);
    expect(await repair()).toMatchObject({ checked: 1, damaged: [] });
    expect((await readFile(mirror.fileAt(0))).equals(BYTES)).toBe(true);
    await rm(mirror.fileAt(1));
    expect(await repair()).toMatchObject({ checked: 1, damaged: [] });
    expect((await readFile(mirror.fileAt(1))).equals(BYTES)).toBe(true);
    for (const i of [0, 1]) await flipBit(mirror.fileAt(i), 8);
    expect(await repair()).toMatchObject({ checked: 1, damaged: [ADDRESS] });
  });

  it('can be read and not written while one backend is down', async () => {
    const wrap = (adapter: BlobAdapter, index: number): BlobAdapter => {
      const refuse = () => Promise.reject(new HoldfastError('Unavailable', 'it does not answer'));
      return index === 0
        ? { ...adapter, stat: refuse, probe: refuse, store: refuse, storeStream: refuse }
        : adapter;
    };
    const mirror = await startMirror({ wrap });
    await mirror.backends[1]!.store(ADDRESS, [BYTES]);
    expect(await get(mirror)).toEqual([200, Buffer.from(BYTES)]);
    const ready = await fetch(`${mirror.node.url}/readyz`);
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { reads: true, reasons: ['backend_down'] },
    ]);
    expect((await fetch(`${mirror.node.url}/readyz?plane=read`)).status).toBe(200);
    const other = noise(10);
    const answer = await fetch(`${mirror.node.url}/o`, {
      method: 'POST',
      headers: { authorization: bearer('admin') },
      body: new Uint8Array(other),
    });
    expect(answer.status).toBe(503);
  });
});

const hang = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
  });

describe('attempts one after the other', () => {
  const taking =
    (clock: FakeClock, ms: number, value: string, started: string[]) =>
    async (signal: AbortSignal): Promise<string> => {
      started.push(value);
      await clock.sleep(ms, signal);
      return value;
    };

  it('ask the next only when the first is slower than 95 of 100 were, and abort who is behind', async () => {
    const clock = new FakeClock();
    const hedged = createHedgedRead(clock);
    const run = (firstMs: number, secondMs: number, started: string[]) => {
      const attempts = [taking(clock, firstMs, 'first', started), taking(clock, secondMs, 'second', started)];
      return hedged.run(attempts, undefined, () => {});
    };
    for (let i = 0; i < 20; i++) {
      const started: string[] = [];
      const done = run(i === 3 ? 25 : 10, 10, started);
      await clock.advance(50);
      expect([await done, started]).toEqual(['first', ['first']]);
    }
    const started: string[] = [];
    const done = run(1000, 10, started);
    await clock.advance(24);
    expect(started).toEqual(['first']);
    await clock.advance(2);
    expect(started).toEqual(['first', 'second']);
    await clock.advance(10);
    expect(await done).toBe('second');
  });

  it('ask the next after the time that is configured while nothing was measured', async () => {
    for (const [configured, expected] of [
      [undefined, 30],
      [7, 7],
    ] as const) {
      const clock = new FakeClock();
      const started: string[] = [];
      const both = [taking(clock, 1000, 'first', started), taking(clock, 10, 'second', started)];
      const done = createHedgedRead(clock, configured).run(both, undefined, () => {});
      await clock.advance(expected - 1);
      expect(started).toEqual(['first']);
      await clock.advance(1);
      expect(started).toEqual(['first', 'second']);
      await clock.advance(10);
      expect(await done).toBe('second');
    }
  });

  it('ask the next at once when one fails, and fail when all have', async () => {
    const clock = new FakeClock();
    const hedged = createHedgedRead(clock);
    const gone = () => Promise.reject(new HoldfastError('NotFound', 'not here'));
    const down = () => Promise.reject(new HoldfastError('Unavailable', 'no answer'));
    expect(await hedged.run([gone, down, async () => 7], undefined, () => {})).toBe(7);
    await expect(hedged.run([gone, down], undefined, () => {})).rejects.toMatchObject({
      kind: 'Unavailable',
    });
    await expect(hedged.run([gone, gone], undefined, () => {})).rejects.toMatchObject({
      kind: 'NotFound',
    });
  });

  it('discard what comes too late, and stop with whoever asked', async () => {
    const clock = new FakeClock();
    const hedged = createHedgedRead(clock);
    const late: string[] = [];
    const deaf = async (): Promise<string> => {
      await clock.sleep(500);
      return 'late';
    };
    const done = hedged.run([deaf, async () => 'quick'], undefined, (value) => void late.push(value));
    await clock.advance(250);
    expect(await done).toBe('quick');
    await clock.advance(300);
    expect(late).toEqual(['late']);
    const leaving = new AbortController();
    const waiting = hedged.run([hang, hang], leaving.signal, () => {});
    leaving.abort(new HoldfastError('Aborted', 'gone'));
    await expect(waiting).rejects.toMatchObject({ kind: 'Aborted' });
  });
});
