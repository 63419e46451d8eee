import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeNode } from '../../src/manifest/dag-cbor.ts';
import type { Cursor } from '../../src/receipts/records/fields.ts';
import {
  type Counted,
  decodeReceipt,
  encodeReceipt,
  glimpse,
  idOf,
  providerIn,
  type ReadAck,
  type Receipt,
  readCounted,
  readReceipt,
  signAck,
  signExecution,
} from '../../src/receipts/records/records.ts';
import { itemAt } from './page-reader.ts';
import { reader } from './world.ts';

const SLOW = process.env.SLOW === '1';

test('records are the bytes that the general encoder gives', () => {
  const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
    fc.uint8Array({ minLength: length, maxLength: length });
  const uint = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 70_000 }), fc.maxSafeNat());
  const text = fc.string({ unit: 'grapheme', maxLength: 40 }).filter((one) => Buffer.byteLength(one) <= 255);
  const read = fc.record({
    ...{ gateway: bytes(32), manifest: bytes(32), provider: text, domain: text, pathHash: bytes(32) },
    ...{ clientHash: bytes(32), readId: bytes(32), issued: uint, length: uint, ts: uint },
  });
  fc.assert(
    fc.property(read, fc.boolean(), (fields, signed) => {
      const grant = { ...fields, kind: 'grant' as const };
      const came = { bytes: Math.floor(fields.length / 2), ts: fields.ts };
      const receipt: ReadAck = signed
        ? signAck(grant, came, reader)
        : { ...fields, ...came, kind: 'read', allowed: true };
      const encoded = encodeReceipt(receipt);
      expect(decodeReceipt(encoded)).toEqual(receipt);
      const { pathHash, clientHash, readId, ...same } = receipt;
      const node = { v: 1, ...same, path_hash: pathHash, client_hash: clientHash, read_id: readId };
      expect(encoded).toEqual(encodeNode(node));
      expect(itemAt(encoded, 0)[0]).toEqual(node);
    }),
    { numRuns: SLOW ? 5_000 : 100 },
  );
});

const BYTES = new Uint8Array(32).fill(0x67);
const GRANT = {
  ...{ kind: 'grant' as const, gateway: BYTES, manifest: BYTES, pathHash: BYTES, clientHash: BYTES },
  ...{ readId: BYTES.map((_, i) => i), issued: 2 ** 40, length: 70_000 },
};
const DENIED = { bytes: 0, ts: 5, allowed: false, reason: 'rate_limited' };
const COST = { cpuUs: 7, diskRead: 2 ** 33, diskWritten: 0, ts: 9, executionId: BYTES.subarray(0, 16) };

const ONE_OF_EACH: readonly Receipt[] = [
  signAck({ ...GRANT, provider: 'p1', domain: 'zwölf' }, { bytes: 300, ts: 7 }, reader),
  // A text that looks like another field.
  signAck({ ...GRANT, provider: 'gread_id', domain: 'gallowed' }, { bytes: 24, ts: 256 }, reader),
  { ...GRANT, provider: '', domain: '', kind: 'read', bytes: 1, ts: 5, allowed: true },
  { ...GRANT, provider: 'p1', domain: '', kind: 'read', ...DENIED },
  { kind: 'denials', gateway: BYTES, reason: 'x', reads: 3, from: 1, to: 2 },
  signExecution({ ...GRANT, ...COST, provider: 'p3', domain: '' }, reader),
];

test.each(ONE_OF_EACH)('what a start has to know of a record is what all of it says: %#', (receipt) => {
  const encoded = encodeReceipt(receipt);
  const cursor = { bytes: encoded, at: 0 };
  expect(glimpse(cursor)).toEqual({ id: idOf(receipt), provider: providerIn(receipt) });
  expect(cursor.at).toBe(encoded.length);
  for (let length = 0; length < encoded.length; length++)
    expect(() => glimpse({ bytes: encoded.subarray(0, length), at: 0 })).toThrow('malformed receipt');
});

test.each(ONE_OF_EACH)(
  'what is counted of a record is what all of it says, or refused like it: %#',
  (receipt) => {
    const encoded = encodeReceipt(receipt);
    const judged = (read: (cursor: Cursor) => Counted, bytes: Uint8Array): unknown => {
      const cursor = { bytes, at: 0 };
      try {
        const { gateway, ...found } = read(cursor);
        const { kind } = found;
        if (kind === 'denials') return [gateway, kind, found.reads, cursor.at];
        if (kind === 'execution') return [gateway, kind, found.provider, found.cpuUs, cursor.at];
        return [gateway, kind, found.allowed, found.provider, found.bytes, found.pk, cursor.at];
      } catch (error) {
        return String(error);
      }
    };
    const differ: number[] = [];
    for (let at = 0; at < encoded.length; at++)
      for (const flip of [0, 0x01, 0x20, 0x80]) {
        const other = encoded.map((byte, i) => (i === at ? byte ^ flip : byte));
        for (const bytes of [other, other.subarray(0, at)])
          if (!isDeepStrictEqual(judged(readCounted, bytes), judged(readReceipt, bytes))) differ.push(at);
      }
    expect(differ).toEqual([]);
  },
);
