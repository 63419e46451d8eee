import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DEFAULT_LRC } from '../../src/coding/erasure/params.ts';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { deriveObjectKeys, deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { seal, unseal } from '../../src/keys/seal.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';
import {
  type FinishedSegment,
  openFinished,
  openUnfinished,
  sealFinished,
  sealUnfinished,
  type Unfinished,
} from '../../src/records/unfinished.ts';

interface Vectors {
  readonly root_key: string;
  readonly journal: string;
  readonly nonce: string;
  readonly object_key: string;
  readonly put: string;
  readonly segment: string;
}

const path = new URL('../vectors/resume-v1.json', import.meta.url);
const count = (length: number, from: number): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i);

const put: Unfinished = {
  objectKey: count(32, 1),
  objectId: count(16, 64),
  code: DEFAULT_LRC,
  compression: 'zstd',
  source: {
    size: 5_000_000_000,
    mtimeNs: '1767225600123456789',
    inode: '18446744073709551615',
    device: '64769',
  },
  sinceMs: 1_767_225_600_000,
};
const segment: FinishedSegment = {
  node: count(80, 7),
  copies: ['p1', 'p4', 'p9'],
  end: 75_497_472,
  hash: count(32, 100),
  last: false,
};
const keyOf = (journal: string): string => `${journal}/000000000003`;

const vectors = (): Vectors => JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const keysOf = ({ root_key, object_key }: Vectors) => ({
  wrap: vaultKeysOf(deriveSubkeys(fromHex(root_key))).wrap,
  sealed: deriveObjectKeys(fromHex(object_key)).sealed,
});

it('the pinned records of an unfinished put open to what they were made of, and are what is written today', () => {
  const pinned = vectors();
  const { wrap, sealed } = keysOf(pinned);
  const nonce = () => fromHex(pinned.nonce);
  expect(openUnfinished(wrap, pinned.journal, fromHex(pinned.put))).toEqual(put);
  expect(toHex(sealUnfinished(wrap, pinned.journal, put, nonce))).toBe(pinned.put);
  const key = keyOf(pinned.journal);
  expect(openFinished(sealed, key, fromHex(pinned.segment))).toEqual(segment);
  expect(toHex(sealFinished(sealed, key, segment, nonce))).toBe(pinned.segment);
});

it('a record opens under no other key of the table, under no other key, and with no byte changed', () => {
  const pinned = vectors();
  const { wrap, sealed } = keysOf(pinned);
  const refused = expect.objectContaining({ kind: 'Corrupt' });
  const bytes = fromHex(pinned.put);
  expect(() => openUnfinished(wrap, `${pinned.journal}0`, bytes)).toThrow(refused);
  expect(() => openUnfinished(sealed, pinned.journal, bytes)).toThrow(refused);
  expect(() => openFinished(sealed, `${pinned.journal}/000000000004`, fromHex(pinned.segment))).toThrow(
    refused,
  );
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at]! ^= 1;
    expect(() => openUnfinished(wrap, pinned.journal, changed)).toThrow(refused);
    expect(() => openUnfinished(wrap, pinned.journal, bytes.subarray(0, at))).toThrow(refused);
  }
});

it('a record of a later version, or with a field more, is refused', () => {
  const pinned = vectors();
  const { wrap } = keysOf(pinned);
  const aad = Uint8Array.from([1, 0xf9, ...Buffer.from(pinned.journal)]);
  const fields = decodeNode(unseal(wrap, aad, fromHex(pinned.put))) as Record<string, unknown>;
  for (const more of [{ v: 2 }, { comment: 'x' }]) {
    const sealed = seal(wrap, aad, encodeNode({ ...fields, ...more }), count.bind(undefined, 24, 0));
    const refused = expect.objectContaining({ kind: 'Corrupt' });
    expect(() => openUnfinished(wrap, pinned.journal, sealed)).toThrow(refused);
  }
});
