import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createLinearCode } from '../../src/coding/erasure/code.ts';
import { addressOf } from '../../src/core/address.ts';
import { portableBlake3 } from '../../src/core/b3/portable.ts';
import { toHex } from '../../src/core/bytes.ts';
import { Cid } from '../../src/manifest/cid.ts';
import {
  MAX_LINKS,
  MAX_NODE_BYTES,
  MAX_SEGMENT_CHUNKS,
  maxSegmentChunks,
} from '../../src/manifest/limits.ts';
import { decodeIndexNode, encodeIndexNode, unsealIndexNode } from '../../src/manifest/links.ts';
import {
  ancestorsFrom,
  comparePointers,
  openPointer,
  type Pointer,
  pointerHash,
  relationOf,
  sealPointer,
} from '../../src/manifest/pointer.ts';
import { decodeRoot, openRoot } from '../../src/manifest/root.ts';
import {
  decodeSegmentNode,
  encodeSegmentNode,
  sealSegment,
  unsealSegment,
} from '../../src/manifest/segment.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';
import {
  code,
  encodeSample,
  fixed,
  links,
  OBJECT_KEY,
  pointer,
  rootInput,
  secrets,
  segment,
  WRAP_KEY,
} from './samples.ts';

const RUNS = process.env.SLOW === '1' ? 5000 : 150;
const random = fixedRandom('records');
const UNAUTHENTIC = expect.objectContaining({ kind: 'Corrupt', code: 'authentication' });
const NAME_KEY = '5a'.repeat(32);

describe('root', () => {
  test('gives back every field, public and sealed', () => {
    fc.assert(
      fc.property(rootInput, (input) => {
        const bytes = encodeSample(input);
        const { record, secrets, links } = openRoot(bytes, WRAP_KEY);
        const { secrets: wanted, body, ...rest } = input;
        expect(record).toMatchObject(rest);
        expect(record).toEqual(decodeRoot(bytes));
        const { linkLens, ...told } = secrets;
        expect(told).toEqual({ ...wanted, name: wanted.name });
        if ('links' in body) {
          expect(links).toEqual(body.links);
          expect(linkLens).toEqual(body.links.map(({ plainBytes }) => plainBytes));
        } else {
          expect(record.body).toEqual(body);
          expect(linkLens).toEqual([]);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe('segment node', () => {
  const sample = code.chain((params) =>
    fc.record({ params: fc.constant(params), objectId: fixed(16), record: segment(params) }),
  );

  test('gives back every field, for its own object only', () => {
    fc.assert(
      fc.property(sample, ({ params, objectId, record }) => {
        const bytes = encodeSegmentNode(objectId, record);
        expect(decodeSegmentNode(bytes, objectId, createLinearCode(params).totalShards)).toEqual(record);
        const other = objectId.map((byte, i) => (i === 15 ? byte ^ 1 : byte));
        expect(() => decodeSegmentNode(bytes, other, createLinearCode(params).totalShards)).toThrowError(
          expect.objectContaining({ kind: 'Corrupt' }),
        );
        expect(() =>
          decodeSegmentNode(bytes, objectId, createLinearCode(params).totalShards + 1),
        ).toThrowError(expect.objectContaining({ kind: 'Corrupt' }));
      }),
      { numRuns: RUNS },
    );
  });

  test('its secrets open under its key, in its object, at its place', () => {
    const withSecrets = sample.chain((one) =>
      secrets(one.record.chunkLens.length, one.record.chunkLens).map((told) => ({ ...one, told })),
    );
    fc.assert(
      fc.property(withSecrets, ({ objectId, record, told }) => {
        const firstChunk = Math.min(record.firstChunk, 2 ** 50);
        const sealed = sealSegment(OBJECT_KEY, objectId, firstChunk, told, random);
        const whole = { ...record, firstChunk, sealed };
        expect(unsealSegment(OBJECT_KEY, objectId, whole)).toEqual(told);
        const other = objectId.map((byte, i) => (i === 0 ? byte ^ 1 : byte));
        const attempts = [
          () => unsealSegment(WRAP_KEY, objectId, whole),
          () => unsealSegment(OBJECT_KEY, other, whole),
          () => unsealSegment(OBJECT_KEY, objectId, { ...whole, firstChunk: firstChunk + 1 }),
        ];
        for (const attempt of attempts) expect(attempt).toThrowError(UNAUTHENTIC);
      }),
      { numRuns: RUNS },
    );
  });
});

describe('index node', () => {
  test('gives back its links, for its own object only', () => {
    fc.assert(
      fc.property(fixed(16), links, (objectId, wanted) => {
        const bytes = encodeIndexNode(objectId, wanted, OBJECT_KEY, random);
        const node = decodeIndexNode(bytes, objectId);
        expect(node.links).toEqual(wanted.map(({ cid, chunks }) => ({ cid, chunks })));
        expect(unsealIndexNode(node, objectId, OBJECT_KEY)).toEqual(wanted);
        const other = objectId.map((byte, i) => (i === 7 ? byte ^ 1 : byte));
        expect(() => decodeIndexNode(bytes, other)).toThrowError(
          expect.objectContaining({ kind: 'Corrupt' }),
        );
        expect(() => unsealIndexNode(node, other, OBJECT_KEY)).toThrowError(UNAUTHENTIC);
      }),
      { numRuns: RUNS },
    );
  });

  test('links and sealed lengths must be as many', () => {
    const objectId = new Uint8Array(16);
    const [one] = fc.sample(
      links.filter((all) => all.length > 1),
      { numRuns: 1, seed: 1 },
    );
    const node = decodeIndexNode(encodeIndexNode(objectId, one!, OBJECT_KEY, random), objectId);
    const fewer = { ...node, links: node.links.slice(1) };
    expect(() => unsealIndexNode(fewer, objectId, OBJECT_KEY)).toThrowError(
      expect.objectContaining({ kind: 'Corrupt', code: 'malformed_manifest' }),
    );
  });
});

describe('pointer', () => {
  test('gives back every field, under its own name only', () => {
    fc.assert(
      fc.property(pointer, (wanted) => {
        const sealed = sealPointer(wanted, NAME_KEY, OBJECT_KEY, random);
        expect(openPointer(sealed, NAME_KEY, OBJECT_KEY)).toEqual({ ...wanted, manifest: wanted.manifest });
        expect(() => openPointer(sealed, `${NAME_KEY.slice(2)}00`, OBJECT_KEY)).toThrowError(UNAUTHENTIC);
        expect(() => openPointer(sealed, NAME_KEY, WRAP_KEY)).toThrowError(UNAUTHENTIC);
      }),
      { numRuns: RUNS },
    );
  });

  test('has one hash, however it was sealed', () => {
    const [one] = fc.sample(pointer, { numRuns: 1, seed: 2 });
    const hashes = ['a', 'b'].map((seed) => {
      const sealed = sealPointer(one!, NAME_KEY, OBJECT_KEY, fixedRandom(seed));
      return toHex(pointerHash(portableBlake3, openPointer(sealed, NAME_KEY, OBJECT_KEY)));
    });
    expect(hashes[0]).toBe(hashes[1]);
    const other = { ...one!, writer: one!.writer.map((byte) => byte ^ 1) };
    expect(toHex(pointerHash(portableBlake3, other))).not.toBe(hashes[0]);
  });

  const MINE = new Uint8Array(16).fill(1);
  const base = { name: 'n', size: 0, createdMs: 0, manifest: undefined, writer: MINE };
  const successor = (
    parents: readonly Pointer[],
    version: number,
    change: Partial<Pointer> = {},
  ): Pointer => ({
    ...base,
    version,
    ancestors: ancestorsFrom(portableBlake3, parents),
    ...change,
  });
  const relation = (later: Pointer, earlier: Pointer): string =>
    relationOf(portableBlake3, later, {
      pointer: earlier,
      sealed: sealPointer(earlier, NAME_KEY, OBJECT_KEY, random),
    });

  test('shows sixteen versions back whom it follows, and further by its writer', () => {
    const chain = [successor([], 1)];
    for (let version = 2; version <= 40; version++) chain.push(successor([chain.at(-1)!], version));
    const [last, stranger] = [chain[39]!, { writer: new Uint8Array(16).fill(2) }];
    for (const [i, one] of chain.entries()) {
      expect(relation(last, one), `${i}`).toBe(i < 39 ? 'follows' : 'fork');
      expect(relation(one, last), `${i}`).toBe('fork');
    }
    // Within reach the writer is no proof: two copies of one state have the same.
    expect(relation(last, successor([chain[5]!], 30))).toBe('fork');
    expect(relation(last, successor([], 5, stranger))).toBe('unknown');
    expect(relation(chain[9]!, successor([], 5, stranger))).toBe('fork');
    const nobody = { writer: new Uint8Array(16) };
    expect(relation({ ...last, ...nobody }, { ...chain[0]!, ...nobody })).toBe('unknown');
  });

  test('above a fork follows both sides of it', () => {
    const root = successor([], 1);
    const [left, right] = [successor([root], 2), successor([root], 2, { size: 1 })];
    const both = successor([left, right], 3);
    expect([left, right, root].map((one) => relation(both, one))).toEqual(['follows', 'follows', 'follows']);
    expect(relation(left, right)).toBe('fork');
  });

  test('is in one order with every other', () => {
    fc.assert(
      fc.property(fc.array(pointer, { minLength: 3, maxLength: 3 }), fc.boolean(), (found, ties) => {
        const some = ties ? found.map((one) => ({ ...one, version: 7, writer: MINE })) : found;
        const order = (x: Pointer, y: Pointer) => Math.sign(comparePointers(portableBlake3, x, y));
        const sorted = [...some].sort(order);
        expect([...some].reverse().sort(order)).toEqual(sorted);
        for (const x of some) for (const y of some) expect(order(x, y)).toBe(0 - order(y, x) + 0);
      }),
    );
  });
});

describe('the size of a node', () => {
  test.each([1, 27, 60, 255])('the largest segment of a code of %i shards fits, and reads back', (shards) => {
    const chunks = maxSegmentChunks(shards);
    const packs = Array.from({ length: 255 }, (_, i) => ({
      provider: `a provider with a long name ${i}`.repeat(4),
      address: addressOf(new Uint8Array(32)),
      length: 2 ** 40,
    }));
    const told = {
      leads: Array.from({ length: chunks }, (_, i) => packs[i % 255]!.provider),
      plainLens: new Array<number>(chunks).fill(2 ** 22),
      storedLens: new Array<number>(chunks).fill(2 ** 22),
      codecs: new Uint8Array(chunks),
      salts: new Uint8Array(16 * chunks),
    };
    const bytes = encodeSegmentNode(new Uint8Array(16), {
      firstChunk: 2 ** 50,
      chunkLens: new Array<number>(chunks).fill(2 ** 22),
      tags: new Uint8Array(16 * chunks),
      shards: new Uint8Array(32 * shards * chunks),
      packs,
      places: new Uint8Array(shards * chunks),
      sealed: sealSegment(OBJECT_KEY, new Uint8Array(16), 2 ** 50, told, random),
    });
    expect(bytes.length).toBeLessThan(MAX_NODE_BYTES);
    expect(decodeSegmentNode(bytes, new Uint8Array(16), shards).chunkLens).toHaveLength(chunks);
  });

  test('under the default code a segment still gathers as many chunks as the format allows', () => {
    expect(maxSegmentChunks(27)).toBe(MAX_SEGMENT_CHUNKS);
    expect(maxSegmentChunks(255)).toBeGreaterThan(60);
  });

  test('the most links of an index node fit', () => {
    const link = { cid: new Cid(addressOf(new Uint8Array(32))), chunks: 2 ** 40, plainBytes: 2 ** 52 };
    const all = new Array<typeof link>(MAX_LINKS).fill(link);
    const bytes = encodeIndexNode(new Uint8Array(16), all, OBJECT_KEY, random);
    expect(bytes.length).toBeLessThan(MAX_NODE_BYTES);
    expect(decodeIndexNode(bytes, new Uint8Array(16)).links).toHaveLength(MAX_LINKS);
  });
});
