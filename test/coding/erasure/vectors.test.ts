import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import { createCoder } from '../../../src/coding/erasure/coder.ts';
import {
  type CodeParams,
  createLinearCode,
  DEFAULT_LRC,
  packetLengthOf,
  workingKernels,
} from '../../../src/coding/erasure/index.ts';
import { createMemory } from '../../../src/core/wasm.ts';
import { absent } from '../../helpers/absent.ts';
import { encodeRow } from '../../reference/erasure.ts';
import { range } from './helpers.ts';

interface Vectors {
  readonly defaultParityRows: readonly string[];
  readonly cases: readonly {
    readonly params: CodeParams;
    readonly shardLength: number;
    readonly packetLength: number;
    readonly paritySha256: readonly string[];
  }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../../vectors/erasure.json', import.meta.url), 'utf8'),
) as Vectors;

/** The data of the vectors. */
const dataShard = (shard: number, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + shard * 31 + (i >> 8) * 13) & 0xff);

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function parityOf(params: CodeParams, length: number): Promise<Map<string, Uint8Array[]>> {
  const code = createLinearCode(params);
  const offsets = range(code.totalShards).map((i) => i * length);
  const results = new Map<string, Uint8Array[]>();
  for await (const make of workingKernels({ native: true, wasm: true })) {
    const memory = createMemory(code.totalShards * length);
    const arena = new Uint8Array(memory.buffer);
    for (let i = 0; i < code.dataShards; i++) arena.set(dataShard(i, length), offsets[i]);
    const coder = createCoder(code, make(memory));
    await coder.encode(offsets, length);
    results.set(
      coder.kernel.name,
      offsets.slice(code.dataShards).map((at) => arena.slice(at, at + length)),
    );
  }
  return results;
}

describe('the bytes of the erasure format', () => {
  test('the default matrix', () => {
    const rows = createLinearCode(DEFAULT_LRC).generator.slice(16);
    expect(rows.map((row) => Buffer.from(row).toString('hex'))).toEqual(vectors.defaultParityRows);
  });

  test.each(vectors.cases)('$params.algorithm at $shardLength bytes, from every kernel', async (vector) => {
    expect(packetLengthOf(vector.shardLength, createLinearCode(vector.params).dataShards)).toBe(
      vector.packetLength,
    );
    const results = await parityOf(vector.params, vector.shardLength);
    expect(results.has('portable')).toBe(true);
    for (const parity of results.values()) expect(parity.map(sha256)).toEqual(vector.paritySha256);
  });

  test.each([512, 2560, 66_560])(
    'the reference written from the format document agrees at %i bytes',
    async (length) => {
      const data = range(16).map((shard) => dataShard(shard, length));
      const parity = (await parityOf(DEFAULT_LRC, length)).get('portable')!;
      for (const [i, row] of vectors.defaultParityRows.entries()) {
        if (length > 10_000 && i !== 6) continue;
        expect(Buffer.compare(parity[i]!, encodeRow([...Buffer.from(row, 'hex')], data, 16))).toBe(0);
      }
    },
  );

  test('the addon makes the same global parities from its own (16, 4) matrix', async (context) => {
    const addon = loadAddon();
    if (addon === undefined) {
      absent('@ronomon/reed-solomon is not installed', 'that its parities are ours');
      return context.skip();
    }
    for (const length of [512, 1024, 16_384, 65_536, 131_072]) {
      const data = Buffer.concat(range(16).map((shard) => dataShard(shard, length)));
      const parity = Buffer.alloc(4 * length);
      await new Promise<void>((resolve, reject) => {
        const done = (error?: Error): void => (error ? reject(error) : resolve());
        addon.encode(
          addon.create(16, 4),
          0xffff,
          0xe0000,
          data,
          0,
          data.length,
          parity,
          0,
          parity.length,
          done,
        );
      });
      const ours = (await parityOf(DEFAULT_LRC, length)).get('portable')!;
      expect(Buffer.compare(Buffer.concat(ours.slice(5, 8)), parity.subarray(length))).toBe(0);
    }
  });
});

function loadAddon() {
  try {
    return createRequire(import.meta.url)('@ronomon/reed-solomon') as {
      create(k: number, m: number): Buffer;
      encode(...args: unknown[]): void;
    };
  } catch {
    return undefined;
  }
}
