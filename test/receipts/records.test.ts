import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeNode } from '../../src/manifest/dag-cbor.ts';
import { decodeReceipt, encodeReceipt, type ReadAck, signAck } from '../../src/receipts/records/records.ts';
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
