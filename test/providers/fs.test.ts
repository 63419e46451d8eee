import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { portableBlake3 as blake3 } from '../../src/core/b3/portable.ts';
import { systemClock as clock } from '../../src/core/clock.ts';
import { secureRandom as random } from '../../src/core/random.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { fsPeekStat } from '../../src/providers/fs/stat.ts';
import { mountSmallDisk, onSmallDisk } from '../helpers/root.ts';

const deps = { clock, random, blake3 };
const bytes = random(5000);
const address = addressOf(blake3.hash(bytes));
const blobPath = (root: string, of: BlobAddress): string => join(root, 'blobs', of.slice(3, 5), of.slice(5));

let root: string;
let adapter: BlobAdapter;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'holdfast-fs-'));
  await initFsProvider(root, 'p1');
  adapter = createFsAdapter({ id: 'p1', root, ...deps });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const listed = async (): Promise<BlobAddress[]> => {
  const all: BlobAddress[] = [];
  for await (const { address } of adapter.list()) all.push(address);
  return all;
};

describe('a provider folder', () => {
  it('that was deleted is reported, and not made again by anything', async () => {
    await adapter.store(address, [bytes]);
    await rm(root, { recursive: true });
    const missing = { kind: 'Unavailable', code: 'provider_missing', provider: 'p1' };
    await expect(adapter.store(address, [bytes])).rejects.toMatchObject(missing);
    await expect(adapter.fetch(address)).rejects.toMatchObject(missing);
    await expect(adapter.exists(address)).rejects.toMatchObject(missing);
    await expect(adapter.delete(address)).rejects.toMatchObject(missing);
    await expect(adapter.readSlot('0'.repeat(16))).rejects.toMatchObject(missing);
    await expect(adapter.writeSlot('0'.repeat(16), bytes, undefined)).rejects.toMatchObject(missing);
    await expect(adapter.deleteSlot('0'.repeat(16))).rejects.toMatchObject(missing);
    await expect(listed()).rejects.toMatchObject(missing);
    await expect(adapter.probe()).rejects.toMatchObject(missing);
    await expect(readdir(root)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('whose disk is not mounted stays empty', async () => {
    await adapter.store(address, [bytes]);
    await rm(root, { recursive: true });
    await mkdir(root);
    await expect(adapter.store(address, [bytes])).rejects.toMatchObject({ code: 'provider_missing' });
    await expect(adapter.exists(address)).rejects.toMatchObject({ code: 'provider_missing' });
    expect(await readdir(root)).toEqual([]);
  });

  it('is usable again once the disk is back, without a new adapter', async () => {
    const late = join(root, 'late');
    const other = createFsAdapter({ id: 'p2', root: late, ...deps });
    await expect(other.store(address, [bytes])).rejects.toMatchObject({ code: 'provider_missing' });
    await initFsProvider(late, 'p2');
    expect(await other.store(address, [bytes])).toEqual({ existed: false });
  });

  it('of another provider is refused', async () => {
    const wrong = createFsAdapter({ id: 'p2', root, ...deps });
    await expect(wrong.fetch(address)).rejects.toMatchObject({
      kind: 'ConfigInvalid',
      code: 'provider_mismatch',
    });
    await expect(initFsProvider(root, 'p2')).rejects.toMatchObject({ kind: 'ConfigInvalid' });
  });

  it('is set up twice without harm, and never over foreign files', async () => {
    await adapter.store(address, [bytes]);
    await initFsProvider(root, 'p1');
    expect(await adapter.fetch(address)).toEqual(bytes);
    const foreign = join(root, 'foreign');
    await mkdir(foreign);
    await writeFile(join(foreign, 'thesis.doc'), 'x');
    await expect(initFsProvider(foreign, 'p3')).rejects.toMatchObject({ code: 'provider_folder_in_use' });
    expect(await readdir(foreign)).toEqual(['thesis.doc']);
  });
});

describe('files that are not blobs', () => {
  it('are never listed', async () => {
    await adapter.store(address, [bytes]);
    const folder = join(root, 'blobs', address.slice(3, 5));
    await writeFile(join(folder, 'notes.txt'), 'x');
    await writeFile(join(folder, 'A'.repeat(62)), 'x');
    await mkdir(join(folder, '0'.repeat(62)));
    await symlink('/etc/hostname', join(folder, '1'.repeat(62)));
    await writeFile(join(root, 'blobs', 'README'), 'x');
    expect(await listed()).toEqual([address]);
  });

  it('are not followed out of the folder', async () => {
    const planted = `b3:ab${'1'.repeat(62)}` as BlobAddress;
    await mkdir(join(root, 'blobs', 'ab'));
    await symlink('/etc/hostname', blobPath(root, planted));
    await expect(adapter.fetch(planted)).rejects.toMatchObject({ kind: 'Corrupt' });
  });
});

describe('unfinished writes', () => {
  it('are swept when old, and left alone when they may be another writer’s', async () => {
    const old = join(root, 'tmp', 'a'.repeat(32));
    const fresh = join(root, 'tmp', 'b'.repeat(32));
    const foreign = join(root, 'tmp', 'keep.me');
    for (const path of [old, fresh, foreign]) await writeFile(path, 'x');
    const twoDaysAgo = Date.now() / 1000 - 2 * 86_400;
    await utimes(old, twoDaysAgo, twoDaysAgo);
    await utimes(foreign, twoDaysAgo, twoDaysAgo);
    await adapter.store(address, [bytes]);
    expect((await readdir(join(root, 'tmp'))).sort()).toEqual(['b'.repeat(32), 'keep.me']);
  });

  it('leave nothing behind when a stream fails', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield bytes;
      throw new Error('source broke');
    }
    await expect(adapter.storeStream(address, broken())).rejects.toMatchObject({ kind: 'Unexpected' });
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
    expect(await listed()).toEqual([]);
  });
});

it('reads and writes buffers that lie in shared memory', async () => {
  const shared = new Uint8Array(new SharedArrayBuffer(12_000));
  shared.set(bytes, 100);
  await adapter.store(address, [shared.subarray(100, 3100), shared.subarray(3100, 5100)]);
  await adapter.fetchRange(address, 10, [shared.subarray(6000, 6100), shared.subarray(7000, 7400)]);
  expect(shared.slice(6000, 6100)).toEqual(bytes.slice(10, 110));
  expect(shared.slice(7000, 7400)).toEqual(bytes.slice(110, 510));
});

it('keeps one file per blob under a folder of the first two digits', async () => {
  await adapter.store(address, [bytes]);
  expect(await readdir(join(root, 'blobs'))).toEqual([address.slice(3, 5)]);
  expect(await readdir(join(root, 'blobs', address.slice(3, 5)))).toEqual([address.slice(5)]);
  expect((await readdir(root)).sort()).toEqual(['blobs', 'holdfast-provider.json', 'slots', 'tmp']);
});

describe('slots of one folder', () => {
  it('are compared and swapped across adapters that know nothing of each other', async () => {
    const name = 'a'.repeat(32);
    const writers = Array.from({ length: 6 }, () => createFsAdapter({ id: 'p1', root, ...deps }));
    let conflicts = 0;
    const add = async (writer: BlobAdapter): Promise<void> => {
      for (let attempt = 0; attempt < 1000; attempt++) {
        const slot = await writer.readSlot(name);
        const next = Uint8Array.of((slot?.bytes[0] ?? 0) + 1);
        const error = await writer.writeSlot(name, next, slot?.version).then(
          () => undefined,
          (e: unknown) => e,
        );
        if (error === undefined) return;
        expect(error).toMatchObject({ kind: 'Conflict' });
        conflicts++;
      }
      expect.fail('no write succeeded');
    };
    await Promise.all(writers.flatMap((writer) => Array.from({ length: 10 }, () => add(writer))));
    expect((await adapter.readSlot(name))!.bytes[0]).toBe(60);
    expect(conflicts).toBeGreaterThan(0);
  });

  it('keep few old generations', async () => {
    const name = 'b'.repeat(32);
    let version: string | undefined;
    for (let i = 0; i < 20; i++) version = await adapter.writeSlot(name, Uint8Array.of(i), version);
    expect((await readdir(join(root, 'slots', name))).length).toBeLessThanOrEqual(9);
    expect(await readdir(join(root, 'tmp'))).toEqual([]);
  });
});

describe('a full disk', () => {
  onSmallDisk('is QuotaExceeded and leaves nothing behind', async () => {
    const { path: disk, unmount } = mountSmallDisk(1024 * 1024);
    try {
      await initFsProvider(disk, 'small');
      const small = createFsAdapter({ id: 'small', root: disk, ...deps });
      const large = random(3_000_000);
      const of = addressOf(blake3.hash(large));
      await expect(small.store(of, [large])).rejects.toMatchObject({
        kind: 'QuotaExceeded',
        provider: 'small',
      });
      async function* pieces(): AsyncGenerator<Uint8Array> {
        for (let at = 0; at < large.length; at += 65_536) yield large.subarray(at, at + 65_536);
      }
      await expect(small.storeStream(of, pieces())).rejects.toMatchObject({ kind: 'QuotaExceeded' });
      expect(await readdir(join(disk, 'tmp'))).toEqual([]);
      expect(await small.exists(of)).toBe(false);
      expect(await small.store(address, [bytes])).toEqual({ existed: false });
    } finally {
      unmount();
    }
  });
});

describe('a look that waits for nothing', () => {
  it('sees what stat sees', async () => {
    const peekStat = (await fsPeekStat(root, clock))!;
    expect(peekStat(address)).toBe('absent');
    await adapter.store(address, [bytes]);
    const { size, revision } = await adapter.stat(address);
    expect(peekStat(address)).toEqual({ size, revision });
    await writeFile(blobPath(root, address), bytes.slice(1));
    expect(peekStat(address)).not.toEqual({ size, revision });
    await rm(blobPath(root, address));
    await mkdir(blobPath(root, address));
    expect(peekStat(address)).toBeUndefined();
  });

  it('leaves a disk alone that made it wait', async () => {
    let now = 0;
    let slow = true;
    const monotonic = (): number => {
      now += slow ? 150 : 0;
      return now;
    };
    const peekStat = (await fsPeekStat(root, { ...clock, monotonic }))!;
    expect(peekStat(address)).toBe('absent');
    slow = false;
    expect(peekStat(address)).toBeUndefined();
    now += 2_000;
    expect(peekStat(address)).toBe('absent');
  });
});
