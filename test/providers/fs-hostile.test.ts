import { execFileSync } from 'node:child_process';
import {
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider, readProviderId } from '../../src/providers/fs/layout.ts';
import { noise } from '../helpers/vault.ts';
import { blake3, deps } from './deps.ts';

/** A provider's folder is written by whoever owns the disk. */

const MARKER = 'holdfast-provider.json';
const bytes = noise(3000);
const address = addressOf(blake3.hash(bytes));
const SLOT = '0123456789abcdef';
const fifo = (path: string): unknown => execFileSync('mkfifo', [path]);

let dir: string;
let root: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-hostile-'));
  root = join(dir, 'p');
  await initFsProvider(root, 'p');
  const made = dir;
  onTestFinished(() => rm(made, { recursive: true, force: true }));
});
const adapter = () => createFsAdapter({ id: 'p', root, ...deps });

describe('a marker that is no file', () => {
  const plants: Readonly<Record<string, (path: string) => unknown>> = {
    'a pipe': fifo,
    'a link to a device': (path) => symlink('/dev/zero', path),
    'a folder': (path) => mkdir(path),
    'a text without end': (path) => writeFile(path, Buffer.alloc(1024 * 1024, 0x20)),
  };
  for (const [what, plant] of Object.entries(plants)) {
    it(`${what} is refused at once by reads, writes, probes and init`, async () => {
      await rm(join(root, MARKER));
      await plant(join(root, MARKER));
      const typed = { name: 'HoldfastError', code: 'provider_mismatch' };
      const { fetch, store, probe, readSlot } = adapter();
      await expect(fetch(address)).rejects.toMatchObject(typed);
      await expect(store(address, [bytes])).rejects.toMatchObject(typed);
      await expect(probe()).rejects.toMatchObject(typed);
      await expect(readSlot(SLOT)).rejects.toMatchObject(typed);
      expect(await readProviderId(root)).toBeUndefined();
    });
  }
});

describe('what lies where a blob or a slot should', () => {
  it('a pipe, a link or a folder is no blob: read as damaged, and written over', async () => {
    const folder = join(root, 'blobs', address.slice(3, 5));
    const path = join(folder, address.slice(5));
    const stranger = join(dir, 'stranger');
    await writeFile(stranger, bytes);
    await mkdir(folder);
    for (const plant of [
      fifo,
      (at: string) => symlink(stranger, at),
      (at: string) => symlink('/dev/zero', at),
    ]) {
      await rm(path, { force: true });
      await plant(path);
      const provider = adapter();
      await expect(provider.fetch(address)).rejects.toMatchObject({ kind: 'Corrupt' });
      await expect(provider.fetchRange(address, 0, [new Uint8Array(10)])).rejects.toMatchObject({
        kind: 'Corrupt',
      });
      expect(await provider.exists(address)).toBe(false);
      expect(await provider.store(address, [bytes])).toEqual({ existed: false });
      expect((await lstat(path)).isFile()).toBe(true);
      expect(await readFile(stranger)).toEqual(Buffer.from(bytes));
    }
  });

  it('a pipe in place of a generation is a damaged slot, hides no other, and can be written over', async () => {
    const provider = adapter();
    await provider.writeSlot(SLOT, Uint8Array.of(1), undefined);
    await provider.writeSlot(`${SLOT}ff`, Uint8Array.of(2), undefined);
    await rm(join(root, 'slots', SLOT, '1'));
    fifo(join(root, 'slots', SLOT, '1'));
    await expect(provider.readSlot(SLOT)).rejects.toMatchObject({ kind: 'Corrupt' });
    const names: string[] = [];
    for await (const name of provider.listSlots()) names.push(name);
    expect(names.sort()).toEqual([SLOT, `${SLOT}ff`]);
    await provider.writeSlot(SLOT, Uint8Array.of(3), undefined);
    expect((await provider.readSlot(SLOT))?.bytes).toEqual(Uint8Array.of(3));
  });
});

describe('a folder that is a link', () => {
  const elsewhere = async (inside: string): Promise<string> => {
    const other = join(dir, 'other');
    await rename(inside, other);
    await symlink(other, inside);
    return other;
  };
  for (const folder of ['tmp', 'blobs', 'slots']) {
    it(`${folder}/: nothing is written or removed at the other end`, async () => {
      const other = await elsewhere(join(root, folder));
      const old = join(other, 'ab'.repeat(16));
      await writeFile(old, 'somebody needs this');
      await utimes(old, 0, 0);
      const unsafe = { code: 'provider_folder_unsafe', kind: 'Corrupt' };
      await expect(adapter().store(address, [bytes])).rejects.toMatchObject(unsafe);
      await expect(adapter().probe()).rejects.toMatchObject(unsafe);
      await expect(initFsProvider(root, 'p')).rejects.toMatchObject(unsafe);
      expect(await readdir(other)).toEqual(['ab'.repeat(16)]);
    });
  }

  it('of one first byte: no blob is stored or deleted through it', async () => {
    const provider = adapter();
    await provider.store(address, [bytes]);
    const other = await elsewhere(join(root, 'blobs', address.slice(3, 5)));
    await expect(provider.delete(address)).rejects.toMatchObject({ kind: 'Corrupt' });
    await rm(join(other, address.slice(5)));
    await expect(provider.store(address, [bytes])).rejects.toMatchObject({ kind: 'Corrupt' });
    expect(await readdir(other)).toEqual([]);
  });

  it('of one slot: no generation is written or removed through it', async () => {
    const provider = adapter();
    await provider.writeSlot(SLOT, Uint8Array.of(1), undefined);
    const other = await elsewhere(join(root, 'slots', SLOT));
    for (let i = 1; i <= 20; i++) await writeFile(join(other, String(i)), 'somebody needs this');
    await expect(provider.writeSlot(SLOT, Uint8Array.of(2), undefined)).rejects.toMatchObject({
      kind: 'Corrupt',
    });
    await expect(provider.deleteSlot(SLOT)).rejects.toMatchObject({ kind: 'Corrupt' });
    expect(await readdir(other)).toHaveLength(20);
  });
});

it('init does not write through a link that was planted where it writes first', async () => {
  const fresh = join(dir, 'fresh');
  const victim = join(dir, 'victim');
  await writeFile(victim, 'precious');
  await mkdir(join(fresh, 'tmp'), { recursive: true });
  await symlink(victim, join(fresh, 'tmp', MARKER));
  await initFsProvider(fresh, 'q');
  expect(await readFile(victim, 'utf8')).toBe('precious');
  expect(await readProviderId(fresh)).toBe('q');
  expect((await lstat(join(fresh, MARKER))).isFile()).toBe(true);
});
