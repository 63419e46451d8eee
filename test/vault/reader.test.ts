import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVault, type Vault } from '../../src/index.ts';
import { noise, readAll } from '../helpers/vault.ts';

const BYTES = noise(3_000_000);
const env = { HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE };
let home: string;
let vault: Vault;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'holdfast-reader-'));
  const providers = ['a', 'b', 'c'].map((id) => ({ id, adapter: 'memory' }) as const);
  const config = { engine: { default: 'memory' }, providers } as const;
  vault = await openVault({ home, config, rootKey: new Uint8Array(32).fill(1), env });
  await vault.putObject(BYTES, { name: 'noise', contentType: 'image/png' });
  await vault.putObject(Buffer.from('naïve \u{1f41f}'), { name: 'text', contentType: 'text/plain' });
});
afterAll(async () => {
  await vault.close();
  await rm(home, { recursive: true });
});

describe('the reader of an object', () => {
  it('gives the content as a stream, a buffer, a text and a blob', async () => {
    const streamed = await new Response((await vault.getObject('noise')).stream()).arrayBuffer();
    expect(Buffer.from(streamed).equals(BYTES)).toBe(true);
    expect(Buffer.from(await (await vault.getObject('noise')).bytes()).equals(BYTES)).toBe(true);
    expect(await (await vault.getObject('text')).text()).toBe('naïve \u{1f41f}');
    const blob = await (await vault.getObject('noise', { start: -5 })).blob();
    expect([blob.size, blob.type]).toEqual([5, 'image/png']);
    expect(Buffer.from(await blob.arrayBuffer()).equals(BYTES.subarray(-5))).toBe(true);
  });

  it('refuses more than it may hold before it reads anything', async () => {
    const over = { kind: 'RangeNotSatisfiable', code: 'over_max_bytes' };
    for (const call of ['bytes', 'text', 'blob'] as const) {
      const reader = await vault.getObject('noise');
      await expect(reader[call]({ maxBytes: BYTES.length - 1 })).rejects.toMatchObject(over);
      expect(await reader.bytes({ maxBytes: BYTES.length })).toHaveLength(BYTES.length);
    }
    const reader = await vault.getObject('noise');
    await expect(reader.bytes({ maxbytes: 1 } as never)).rejects.toMatchObject({ code: 'unknown_option' });
  });

  it('can be read once, whichever way', async () => {
    const reader = await vault.getObject('text');
    await reader.text();
    await expect(reader.bytes()).rejects.toMatchObject({ code: 'already_read' });
    expect(() => reader.stream()).toThrow(/once/);
    expect(() => reader[Symbol.asyncIterator]()).toThrow(/once/);
  });

  it('tells how far it is', async () => {
    const seen: number[] = [];
    const onProgress = ({ bytesRead, totalBytes }: { bytesRead: number; totalBytes: number }) => {
      expect(totalBytes).toBe(BYTES.length - 10);
      seen.push(bytesRead);
    };
    await (await vault.getObject('noise', { start: 10, onProgress })).bytes();
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(BYTES.length - 10);
  });

  it('lets go of a read that is left, whichever way it is left', async () => {
    const stream = (await vault.getObject('noise')).stream().getReader();
    expect((await stream.read()).value!.length).toBeGreaterThan(0);
    await stream.cancel();
    const left = await vault.getObject('noise');
    const pieces = left[Symbol.asyncIterator]();
    await pieces.next();
    await left[Symbol.asyncDispose]();
    expect((await pieces.next()).done).toBe(true);
  });
});

describe('putObject', () => {
  const content = async (name: string): Promise<Uint8Array> => readAll(await vault.getObject(name));
  const part = BYTES.subarray(0, 500_000);

  it('takes blobs, web streams, Node streams, iterables and open files', async () => {
    const file = join(home, 'file');
    await writeFile(file, part);
    const handle = await open(file);
    const inputs = {
      blob: new Blob([part]),
      web: new Blob([part]).stream() as ReadableStream<Uint8Array>,
      node: Readable.from([part.subarray(0, 7), part.subarray(7)]),
      sync: [part.subarray(0, 3), part.subarray(3)],
      handle,
    };
    for (const [name, input] of Object.entries(inputs)) {
      await vault.putObject(input, { name });
      expect(Buffer.compare(await content(name), part), name).toBe(0);
    }
    await handle.close();
  });

  it('takes the name of a file and the type of a blob where none is given', async () => {
    const file = new File([part], 'photo.png', { type: 'image/png' });
    expect((await vault.putObject(file)).name).toBe('photo.png');
    expect((await vault.statObject('photo.png')).contentType).toBe('image/png');
    await vault.putObject(file, { name: 'other', contentType: 'image/x-mine' });
    expect((await vault.statObject('other')).contentType).toBe('image/x-mine');
    expect((await vault.putObject(new Blob([part]))).name).toBeUndefined();
  });

  it('refuses a text, which could be a content or a path', async () => {
    await expect(vault.putObject('text' as never)).rejects.toMatchObject({ code: 'bad_source' });
  });
});

it('listObjects lists by prefix, delimiter, start and limit, in order', async () => {
  for (const name of ['l/a/1', 'l/a/2', 'l/b', 'l/c/1']) await vault.putObject(part(name), { name });
  const names = async (options: Parameters<Vault['listObjects']>[0]) => {
    const found: string[] = [];
    for await (const item of vault.listObjects({ prefix: 'l/', ...options } as { prefix: string }))
      found.push('name' in item ? item.name : (item as { prefix: string }).prefix);
    return found;
  };
  expect(await names({})).toEqual(['l/a/1', 'l/a/2', 'l/b', 'l/c/1']);
  expect(await names({ delimiter: '/' } as never)).toEqual(['l/a/', 'l/b', 'l/c/']);
  expect(await names({ delimiter: '/', after: 'l/a/', limit: 1 } as never)).toEqual(['l/b']);
});

const part = (text: string): Uint8Array => Buffer.from(text);
