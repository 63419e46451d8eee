import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CodeParams, createCode, DEFAULT_LRC } from '../../../src/coding/erasure/index.ts';
import { someBytes, without } from './helpers.ts';

const bad = { kind: 'Corrupt', code: 'bad_shards' };

describe('createCode', () => {
  test('what is encoded is reconstructed from any shards that suffice', { timeout: 60_000 }, async () => {
    const code = await createCode();
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 200_000 }),
        fc.uniqueArray(fc.integer({ min: 0, max: 26 }), { maxLength: 5 }),
        async (length, lost) => {
          const chunk = someBytes(length, length + 1);
          const shards: (Uint8Array | undefined)[] = await code.encode(chunk);
          for (const shard of lost) shards[shard] = undefined;
          expect(Buffer.compare(await code.reconstruct(shards, length), chunk)).toBe(0);
        },
      ),
      { numRuns: process.env.SLOW ? 500 : 40 },
    );
  });

  test('rebuild returns the missing shards only, as they were, in the order asked for', async () => {
    const code = await createCode();
    const shards = await code.encode(someBytes(10_000, 1));
    const holes = shards.map((shard, i) => ([25, 3, 18].includes(i) ? null : shard));
    const rebuilt = await code.rebuild(holes, [25, 3, 18]);
    expect(rebuilt).toEqual([shards[25], shards[3], shards[18]]);
  });

  test('input is left as it was, and results are not views of each other', async () => {
    const code = await createCode();
    const chunk = someBytes(9000, 2);
    const shards = await code.encode(chunk);
    expect(chunk).toEqual(someBytes(9000, 2));
    const again = await code.encode(chunk);
    shards[0]!.fill(0);
    expect(again[0]).not.toEqual(shards[0]);
  });

  test('overlapping calls do not disturb each other', async () => {
    const code = await createCode();
    const chunks = [1, 2, 3, 4, 5].map((seed) => someBytes(5000 * seed, seed));
    const encoded = await Promise.all(chunks.map((chunk) => code.encode(chunk)));
    const back = await Promise.all(encoded.map((shards, i) => code.reconstruct(shards, chunks[i]!.length)));
    expect(back).toEqual(chunks);
  });

  test('shards do not depend on what was encoded before', async () => {
    const [used, fresh] = [await createCode(), await createCode()];
    await used.encode(someBytes(50_000, 4));
    expect(await used.encode(someBytes(49_000, 5))).toEqual(await fresh.encode(someBytes(49_000, 5)));
  });

  test('a chunk of one byte and an empty one have shards of 512 bytes', async () => {
    const code = await createCode();
    for (const length of [0, 1]) {
      const shards = await code.encode(new Uint8Array(length).fill(7));
      expect(shards.map((shard) => shard.length)).toEqual(new Array(27).fill(512));
      expect(await code.reconstruct(shards, length)).toEqual(new Uint8Array(length).fill(7));
    }
  });

  test('every kernel gives the same shards', async () => {
    const chunk = someBytes(70_000, 9);
    const wasm = await createCode();
    const plain = await createCode(DEFAULT_LRC, { native: false, wasm: false });
    const native = await createCode(DEFAULT_LRC, { wasm: false });
    expect([wasm.kernel, plain.kernel]).toEqual(['wasm', 'portable']);
    console.log(`with WebAssembly off the kernel is ${native.kernel}`);
    const expected = await plain.encode(chunk);
    expect(await wasm.encode(chunk)).toEqual(expected);
    expect(await native.encode(chunk)).toEqual(expected);
  });
});

describe('hostile input', () => {
  test('shards of wrong count, length or kind are refused', async () => {
    const code = await createCode();
    const shards = await code.encode(someBytes(4000, 3));
    const calls: (readonly unknown[])[] = [
      [],
      shards.slice(0, 26),
      [...shards, shards[0]],
      shards.with(4, new Uint8Array(511)),
      shards.with(4, new Uint8Array(0)),
      shards.with(4, new Uint8Array(1024)),
      shards.with(4, new Uint8Array(1)),
      shards.map(() => new Uint8Array(100)),
      shards.map(() => new Uint8Array(0)),
      (shards as unknown[]).with(4, 'text'),
      (shards as unknown[]).with(4, [1, 2, 3]),
    ];
    for (const hostile of calls) {
      await expect(code.reconstruct(hostile as Uint8Array[], 4000)).rejects.toMatchObject(bad);
      await expect(code.rebuild(hostile as Uint8Array[], [0])).rejects.toMatchObject(bad);
    }
    await expect(code.reconstruct(null as never, 4000)).rejects.toMatchObject(bad);
  });

  test('lengths that do not go with the shards are refused', async () => {
    const code = await createCode();
    const shards = await code.encode(someBytes(4000, 3));
    for (const length of [-1, 0.5, Number.NaN, 8193, 1e12, Number.POSITIVE_INFINITY]) {
      await expect(code.reconstruct(shards, length)).rejects.toMatchObject(bad);
    }
    await expect(code.encode('text' as never)).rejects.toMatchObject(bad);
    await expect(code.encode(undefined as never)).rejects.toMatchObject(bad);
  });

  test('shard numbers out of range or named twice are refused', async () => {
    const code = await createCode();
    const shards = await code.encode(someBytes(4000, 3));
    for (const missing of [[27], [-1], [1.5], [Number.NaN], [3, 3]]) {
      await expect(code.rebuild(shards, missing)).rejects.toMatchObject(bad);
      expect(() => code.repairPlan(missing, without(27, [3]))).toThrowError(expect.objectContaining(bad));
      expect(() => code.rank(missing)).toThrowError(expect.objectContaining(bad));
    }
  });

  test('too few shards are a typed error that says what would help', async () => {
    const code = await createCode();
    const shards: (Uint8Array | undefined)[] = await code.encode(someBytes(4000, 3));
    for (const i of [0, 16, 21, 22, 23, 24, 25, 26]) shards[i] = undefined;
    const failure = { kind: 'Unavailable', code: 'undecodable', context: { rank: 15, needed: 16 } };
    await expect(code.reconstruct(shards, 4000)).rejects.toMatchObject(failure);
    await expect(code.rebuild(shards, [0])).rejects.toMatchObject({
      hint: expect.stringContaining('would do: 0, 16, 21'),
    });
    await expect(code.reconstruct(new Array(27).fill(undefined), 4000)).rejects.toMatchObject({
      code: 'undecodable',
    });
  });

  test.each<[string, unknown]>([
    ['unknown algorithm', { algorithm: 'raid' }],
    ['data_shards', { ...DEFAULT_LRC, dataShards: 0 }],
    ['data_shards', { ...DEFAULT_LRC, dataShards: 1.5 }],
    ['local_parity', { ...DEFAULT_LRC, localParity: 17 }],
    ['local_parity', { ...DEFAULT_LRC, localParity: 0 }],
    ['global_parity', { ...DEFAULT_LRC, globalParity: -1 }],
    ['fountain.kind', { ...DEFAULT_LRC, fountainKind: 'deep' }],
    ['fountain.shards', { ...DEFAULT_LRC, fountainShards: 0 }],
    ['fountain.shards', { ...DEFAULT_LRC, fountainKind: 'none' }],
    ['overlay', { ...DEFAULT_LRC, dataShards: 1, localParity: 1 }],
    ['255', { ...DEFAULT_LRC, dataShards: 250 }],
    ['255', { algorithm: 'reed-solomon', dataShards: 250, parityShards: 6 }],
    ['parity_shards', { algorithm: 'reed-solomon', dataShards: 16, parityShards: 0 }],
    ['parity_shards', { algorithm: 'xor', dataShards: 16, parityShards: '1' }],
    ['copies', { algorithm: 'replica', copies: Number.NaN }],
  ])('a code that makes no sense is refused and the reason named: %s', async (reason, params) => {
    await expect(createCode(params as CodeParams)).rejects.toMatchObject({
      kind: 'ConfigInvalid',
      message: expect.stringContaining(reason),
    });
  });
});
