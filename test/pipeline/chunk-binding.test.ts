import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { chunkAad } from '../../src/coding/chunk-cipher.ts';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { toHex } from '../../src/core/bytes.ts';
import { systemClock } from '../../src/core/clock.ts';
import { deriveObjectKeys } from '../../src/keys/derivation.ts';
import { createArena } from '../../src/pipeline/arena.ts';
import { createInlineStage } from '../../src/pipeline/cpu/inline.ts';
import type { DecodeJob } from '../../src/pipeline/cpu/jobs.ts';
import { frameOffset, shardOffsets, slabBytes } from '../../src/pipeline/cpu/jobs.ts';
import { ACCELERATION, noise } from '../helpers/vault.ts';

const UNAUTHENTIC = { kind: 'Corrupt', code: 'authentication' };
const CODE = { algorithm: 'reed-solomon', dataShards: 2, parityShards: 1 } as const;
const code = createLinearCode(CODE);
const arena = createArena(256 * 1024);
const cpu = createInlineStage(arena.memory, ACCELERATION, systemClock);
afterAll(() => cpu.close());

const keys = deriveObjectKeys(new Uint8Array(32).fill(1));
const OTHER = deriveObjectKeys(new Uint8Array(32).fill(2));
const ID = new Uint8Array(16).fill(3);
const SALT = new Uint8Array(16).fill(4);

/** One chunk in the arena as a reader would fetch it, to be decoded as `change` says. */
async function decode(change: (job: DecodeJob) => Partial<DecodeJob>): Promise<Uint8Array | 'bad'> {
  const plain = noise(3000);
  plain.fill(0, 0, 2000);
  const slab = arena.tryAllocate(slabBytes(code, plain.length))!;
  try {
    const frame = frameOffset(code, plain.length);
    slab.bytes.set(plain, frame);
    const identity = { objectId: ID, index: 5, last: false, plainLength: plain.length };
    const chunk = { ...identity, code: CODE, key: keys.chunkKey('p1', SALT, 5) };
    const encoded = await cpu.encode({
      ...chunk,
      base: slab.offset,
      frame: slab.offset + frame,
      codec: 'rle',
      level: 1,
      check: 'none',
      plainHash: new Uint8Array(0),
      seed: 1,
    });
    const job: DecodeJob = {
      ...chunk,
      ...encoded,
      offsets: shardOffsets(slab.offset, 3, encoded.shardLength),
      present: [0, 1, 2],
    };
    const result = await cpu.decode({ ...job, ...change(job) });
    if (result.bad.length > 0) return 'bad';
    return slab.bytes.slice(0, plain.length);
  } finally {
    arena.release(slab);
  }
}

describe('a chunk is bound to its place', () => {
  test('unchanged it opens', async () => {
    const plain = await decode(() => ({}));
    expect(plain).toHaveLength(3000);
  });

  const changes: Readonly<Record<string, (job: DecodeJob) => Partial<DecodeJob>>> = {
    'another object': () => ({ objectId: new Uint8Array(16).fill(9) }),
    'another index': () => ({ index: 6 }),
    'being the last': () => ({ last: true }),
    'a shorter plaintext': ({ plainLength }) => ({ plainLength: plainLength - 1 }),
    'a longer plaintext': ({ plainLength }) => ({ plainLength: plainLength + 2 ** 32 }),
    'another codec': () => ({ codec: 0 }),
    'another object key': () => ({ key: OTHER.chunkKey('p1', SALT, 5) }),
    'the key of another lead': () => ({ key: keys.chunkKey('p2', SALT, 5) }),
    'the key of another index': () => ({ key: keys.chunkKey('p1', SALT, 6) }),
    'the key of another salt': () => ({ key: keys.chunkKey('p1', new Uint8Array(16), 5) }),
    'a tag with one bit changed': ({ tag }) => ({
      tag: tag.map((byte, i) => (i === 15 ? byte ^ 128 : byte)),
    }),
    'its shards in another order': ({ offsets, shardLength, digests }) => {
      const memory = new Uint8Array(arena.memory.buffer);
      const first = memory.slice(offsets[0]!, offsets[0]! + shardLength);
      memory.copyWithin(offsets[0]!, offsets[1]!, offsets[1]! + shardLength);
      memory.set(first, offsets[1]!);
      return {
        digests: Uint8Array.from([...digests.slice(32, 64), ...digests.slice(0, 32), ...digests.slice(64)]),
      };
    },
  };
  test.each(Object.entries(changes))('refuses %s', async (_, change) => {
    await expect(decode(change)).rejects.toMatchObject(UNAUTHENTIC);
  });

  test('a shard that is not what the manifest says is named before anything is decrypted', async () => {
    // The tag is wrong too: whoever decrypts finds that out, and names no shard.
    const wrong = await decode(({ digests, tag }) => ({
      digests: digests.map((byte, i) => (i === 40 ? byte ^ 1 : byte)),
      tag: tag.map((byte) => byte ^ 1),
    }));
    expect(wrong).toBe('bad');
  });

  test('a stored length that lies gives an error, never other bytes', async () => {
    for (const storedLength of [0, 1, 500, 1024]) {
      const attempt = decode(() => ({ storedLength }));
      await expect(attempt).rejects.toMatchObject({ kind: 'Corrupt' });
    }
  });
});

test('no two identities have the same additional data', () => {
  const identity = fc.record({
    objectId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    index: fc.oneof(fc.nat({ max: 3 }), fc.maxSafeNat()),
    last: fc.boolean(),
    plainLength: fc.oneof(fc.nat({ max: 3 }), fc.maxSafeNat()),
    codec: fc.nat({ max: 255 }),
  });
  fc.assert(
    fc.property(identity, identity, (one, other) => {
      const same = toHex(one.objectId) === toHex(other.objectId);
      const { objectId: _, ...a } = one;
      const { objectId: __, ...b } = other;
      const equal = same && JSON.stringify(a) === JSON.stringify(b);
      expect(toHex(chunkAad(one)) === toHex(chunkAad(other))).toBe(equal);
      expect(chunkAad(one)).toHaveLength(35);
    }),
    { numRuns: process.env.SLOW === '1' ? 20_000 : 500 },
  );
});
