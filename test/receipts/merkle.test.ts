import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { portableBlake3 } from '../../src/core/b3/portable.ts';
import {
  proveConsistency,
  proveInclusion,
  verifyConsistency,
  verifyInclusion,
} from '../../src/receipts/merkle/proofs.ts';
import { blake3Tree, rootOf, type TreeHash, TreeRoot, treeHash } from '../../src/receipts/merkle/tree.ts';
import { vectorTest } from '../helpers/third-party.ts';
import { treeByThePage } from './page-reader.ts';

const SLOW = process.env.SLOW === '1';
const SHA256: TreeHash = treeHash(32, (data) => new Uint8Array(createHash('sha256').update(data).digest()));
const BLAKE3 = blake3Tree(portableBlake3);

/** Only the shape is looked at, millions of times: short, fast, and of no collisions that a single bit would make. */
const QUICK: TreeHash = treeHash(8, (data) => {
  const words = new Uint32Array([0x811c9dc5, 0x1234567]);
  for (const byte of data) {
    words[0] = Math.imul(words[0]! ^ byte, 0x01000193);
    words[1] = Math.imul(words[1]! ^ (byte + (words[0]! >>> 7)), 0x85ebca6b);
  }
  return new Uint8Array(words.buffer);
});

interface InclusionVector {
  readonly path: string;
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly root: string;
  readonly leafHash: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

interface ConsistencyVector {
  readonly path: string;
  readonly size1: number;
  readonly size2: number;
  readonly root1: string;
  readonly root2: string;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

const decoded = (text: string | null): Uint8Array => new Uint8Array(Buffer.from(text ?? '', 'base64'));

vectorTest<readonly InclusionVector[]>(
  'proofs of inclusion are judged as transparency-dev judges them',
  'rfc6962-inclusion.json',
  (vectors) => {
    for (const vector of vectors) {
      const holds = verifyInclusion(SHA256, {
        index: vector.leafIdx,
        size: vector.treeSize,
        leaf: decoded(vector.leafHash),
        path: (vector.proof ?? []).map(decoded),
        root: decoded(vector.root),
      });
      expect([vector.path, holds]).toEqual([vector.path, !vector.wantErr]);
    }
    expect(vectors.length).toBe(98);
  },
);

vectorTest<readonly ConsistencyVector[]>(
  'proofs of consistency are judged as transparency-dev judges them',
  'rfc6962-consistency.json',
  (vectors) => {
    for (const vector of vectors) {
      const holds = verifyConsistency(SHA256, {
        first: vector.size1,
        second: vector.size2,
        firstRoot: decoded(vector.root1),
        secondRoot: decoded(vector.root2),
        path: (vector.proof ?? []).map(decoded),
      });
      expect([vector.path, holds]).toEqual([vector.path, !vector.wantErr]);
    }
    expect(vectors.length).toBe(98);
  },
);

const MAX = 1_025;
const leafData = (i: number): Uint8Array => Uint8Array.of(i & 255, i >> 8, 0xa5);
/** Around the powers of two, where the shape changes; all of them where there is time. */
const SIZES = Array.from({ length: MAX }, (_, i) => i + 1).filter(
  (n) => SLOW || n < 20 || [-1, 0, 1].some((off) => Number.isInteger(Math.log2(n + off))) || n % 97 === 0,
);

test('the root of a growing tree is the root by the definition, at every size', () => {
  for (const hash of [SHA256, BLAKE3]) {
    const tree = new TreeRoot(hash);
    const data: Uint8Array[] = [];
    expect(tree.root()).toEqual(treeByThePage(hash, data));
    for (let size = 1; size <= MAX; size++) {
      data.push(leafData(size - 1));
      tree.append(hash.leaf(data.at(-1)!));
      if (SIZES.includes(size)) expect([size, tree.root()]).toEqual([size, treeByThePage(hash, data)]);
    }
  }
});

test('the hash of the trees of equal parts is that of the whole', () => {
  for (const size of SIZES) {
    const leaves = Array.from({ length: size }, (_, i) => BLAKE3.leaf(leafData(i)));
    const parts = new TreeRoot(BLAKE3);
    for (let at = 0; at < size; at += 16) parts.append(rootOf(BLAKE3, leaves.slice(at, at + 16)));
    expect([size, parts.root()]).toEqual([size, rootOf(BLAKE3, leaves)]);
  }
});

/** Every copy of `bytes` that differs from it in one bit. */
function* oneBitOff(bytes: Uint8Array): Generator<Uint8Array> {
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = Uint8Array.from(bytes);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    yield changed;
  }
}

function* onePartOff(parts: readonly Uint8Array[]): Generator<Uint8Array[]> {
  for (const [i, part] of parts.entries())
    for (const changed of oneBitOff(part)) yield parts.map((one, k) => (k === i ? changed : one));
  if (parts.length > 0) yield parts.slice(0, -1);
  yield [...parts, Uint8Array.from(parts.at(-1) ?? new Uint8Array(8))];
}

const placesIn = (size: number): number[] =>
  SLOW && size <= 40
    ? Array.from({ length: size }, (_, i) => i)
    : [...new Set([0, 1, size >> 1, size - 2, size - 1])].filter((i) => i >= 0 && i < size);

test('a proof of inclusion holds at every size, and not with a bit changed anywhere in it', () => {
  for (const size of SIZES) {
    const leaves = Array.from({ length: size }, (_, i) => QUICK.leaf(leafData(i)));
    const root = rootOf(QUICK, leaves);
    for (const index of placesIn(size)) {
      const proof = { index, size, leaf: leaves[index]!, path: proveInclusion(QUICK, leaves, index), root };
      const holds = (change: object): boolean => verifyInclusion(QUICK, { ...proof, ...change });
      expect([size, index, holds({})]).toEqual([size, index, true]);
      const off = [
        ...[...onePartOff(proof.path)].map((path) => ({ path })),
        ...[...oneBitOff(root)].map((one) => ({ root: one })),
        ...[...oneBitOff(proof.leaf)].map((leaf) => ({ leaf })),
        ...Array.from({ length: 11 }, (_, bit) => ({ index: index ^ (1 << bit) })),
      ];
      expect([size, index, off.filter(holds)]).toEqual([size, index, []]);
    }
  }
});

test('a proof of consistency holds at every size, and not with a bit changed anywhere in it', () => {
  for (const second of SIZES) {
    const leaves = Array.from({ length: second }, (_, i) => QUICK.leaf(leafData(i)));
    const secondRoot = rootOf(QUICK, leaves);
    for (const first of placesIn(second).map((place) => place + 1)) {
      const path = proveConsistency(QUICK, leaves, first);
      const proof = { first, second, firstRoot: rootOf(QUICK, leaves.slice(0, first)), secondRoot, path };
      const holds = (change: object): boolean => verifyConsistency(QUICK, { ...proof, ...change });
      expect([first, second, holds({})]).toEqual([first, second, true]);
      const off = [
        ...[...onePartOff(path)].map((one) => ({ path: one })),
        ...[...oneBitOff(proof.firstRoot)].map((one) => ({ firstRoot: one })),
        ...[...oneBitOff(secondRoot)].map((one) => ({ secondRoot: one })),
      ];
      expect([first, second, off.filter(holds)]).toEqual([first, second, []]);
    }
  }
});

test('a proof of another size, or of a place that is not there, does not hold', () => {
  const leaves = Array.from({ length: 7 }, (_, i) => BLAKE3.leaf(leafData(i)));
  const path = proveInclusion(BLAKE3, leaves, 6);
  const proof = { index: 6, size: 7, leaf: leaves[6]!, path, root: rootOf(BLAKE3, leaves) };
  expect(verifyInclusion(BLAKE3, proof)).toBe(true);
  for (const change of [
    { size: 6 },
    { index: 7 },
    { index: -1 },
    { index: 2.5 },
    { size: Number.NaN },
    { index: 2 ** 60, size: 2 ** 61 },
  ])
    expect(verifyInclusion(BLAKE3, { ...proof, ...change })).toBe(false);
});
