import { createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { blake3 as reference } from '@noble/hashes/blake3.js';
import { describe, expect, it } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { concatBytes, fromHex, toHex, utf8Decode, utf8Encode } from '../../src/core/bytes.ts';
import { deriveSubkeys, vaultKeysOf } from '../../src/keys/derivation.ts';
import { Cid } from '../../src/manifest/cid.ts';
import { encodeNode } from '../../src/manifest/dag-cbor.ts';
import { encodeRelocation, type RelocationRecord } from '../../src/manifest/relocation.ts';
import {
  decodeRelocationSlot,
  encodeRelocationSlot,
  relocationSlotName,
} from '../../src/manifest/relocation-slot.ts';
import { encodeSlotDue, slotDueIn } from '../../src/records/relocation-slots.ts';
import { readRelocationSlot } from '../../src/records/slot-relocations.ts';
import { ACCELERATION } from '../helpers/vault.ts';

interface Vectors {
  readonly root_key: string;
  readonly public_key: string;
  readonly segment: BlobAddress;
  readonly slot: string;
  readonly records: readonly {
    readonly record: RelocationRecord;
    readonly bytes: string;
    readonly signed?: string;
    readonly signature?: string;
  }[];
  readonly content: string;
  readonly due: readonly { readonly row: Parameters<typeof encodeSlotDue>[0]; readonly bytes: string }[];
}

const path = new URL('../vectors/relocation-slot-v1.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const blake3 = await selectBlake3(ACCELERATION);
const keys = vaultKeysOf(deriveSubkeys(fromHex(vectors.root_key)));
const context = { blake3, keys };
const content = fromHex(vectors.content);
const [first, second] = vectors.records;

describe('the pinned bytes of a slot of relocations', () => {
  it('are named from the address of the segment alone', () => {
    expect(vectors.slot).toBe(toHex(reference(utf8Encode(`holdfast relocations of ${vectors.segment}`))));
    expect(relocationSlotName(blake3, vectors.segment)).toBe(vectors.slot);
  });

  it('are what is written today, and mean the same', () => {
    const relocations = vectors.records.map(({ record, signature }) => ({
      record,
      bytes: encodeRelocation(record),
      signature: signature === undefined ? undefined : fromHex(signature),
    }));
    const slot = { segment: vectors.segment, relocations };
    expect(toHex(encodeRelocationSlot(slot)!)).toBe(vectors.content);
    const found = decodeRelocationSlot(blake3, vectors.slot, content)!;
    expect(found.segment).toBe(vectors.segment);
    expect(found.relocations.map(({ record }) => record)).toEqual(
      vectors.records.map(({ record }) => record),
    );
    expect(found.relocations.map(({ signature }) => signature && toHex(signature))).toEqual(
      vectors.records.map(({ signature }) => signature),
    );
  });

  it('are signed by a key that the root of the vault gives, as the format says', () => {
    const pointer = reference(fromHex(vectors.root_key), {
      context: utf8Encode('holdfast 2026-11 vault pointer key'),
    });
    const seed = reference(pointer, { context: utf8Encode('holdfast 2026-11 vault signing key') });
    expect(vaultKeysOf({ ...deriveSubkeys(fromHex(vectors.root_key)), pointer }).signing!.publicKey).toEqual(
      fromHex(vectors.public_key),
    );
    expect(seed.length).toBe(32);
    const message = concatBytes(
      utf8Encode('holdfast 2026-11 relocation signature\0'),
      fromHex(vectors.slot),
      fromHex(first!.bytes),
    );
    expect(toHex(message)).toBe(first!.signed);
    const x = Buffer.from(vectors.public_key, 'hex').toString('base64url');
    const open = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    expect(verify(null, message, open, fromHex(first!.signature!))).toBe(true);
    expect(toHex(keys.signing!.sign(message))).toBe(first!.signature);
  });

  it('say of each relocation whether the vault signed it', () => {
    const found = readRelocationSlot(context, vectors.slot, content)!.relocations;
    expect(found.map(({ signed }) => signed)).toEqual([true, false]);
    const others = { blake3, keys: vaultKeysOf(deriveSubkeys(new Uint8Array(32).fill(3))) };
    expect(
      readRelocationSlot(others, vectors.slot, content)!.relocations.map(({ signed }) => signed),
    ).toEqual([false, false]);
  });

  it.each(vectors.due)('of a row that says what is due are what is written today: %#', ({ row, bytes }) => {
    expect(utf8Decode(encodeSlotDue(row))).toBe(bytes);
    expect(slotDueIn(utf8Encode(bytes))).toEqual(row);
  });
});

describe('a slot of relocations', () => {
  const written = (fields: Record<string, unknown>, slot = vectors.slot) =>
    decodeRelocationSlot(
      blake3,
      slot,
      encodeNode({
        version: 1,
        node: 'relocations',
        segment: new Cid(vectors.segment),
        relocations: [[fromHex(first!.bytes)]],
        ...fields,
      }),
    );

  it('of another version, of another segment, or with something else in it is none', () => {
    expect(written({})?.relocations.length).toBe(1);
    expect(written({ version: 2 })).toBeUndefined();
    expect(written({ node: 'relocation' })).toBeUndefined();
    expect(written({ more: 1 })).toBeUndefined();
    expect(written({}, '00'.repeat(32))).toBeUndefined();
    expect(written({ relocations: [[fromHex(first!.bytes), new Uint8Array(63)]] })).toBeUndefined();
    expect(written({ relocations: [fromHex(first!.bytes)] })).toBeUndefined();
    expect(
      written({ relocations: Array.from({ length: 17 }, () => [fromHex(second!.bytes)]) }),
    ).toBeUndefined();
    expect(decodeRelocationSlot(blake3, vectors.slot, new Uint8Array(64 * 1024 + 1))).toBeUndefined();
  });

  it('leaves out a record that is malformed, and one of another segment', () => {
    const segment = `b3:${'77'.repeat(32)}` as BlobAddress;
    const other = encodeRelocation({ ...first!.record, segment });
    const relocations = [[new Uint8Array(9)], [other], [fromHex(second!.bytes)]];
    expect(written({ relocations })?.relocations.map(({ record }) => record)).toEqual([second!.record]);
  });

  it('takes no signature for that of another slot', () => {
    const segment = `b3:${'77'.repeat(32)}` as BlobAddress;
    const slot = relocationSlotName(blake3, segment);
    const record = { ...first!.record, segment };
    const bytes = encodeRelocation(record);
    const signature = fromHex(first!.signature!);
    const moved = encodeRelocationSlot({ segment, relocations: [{ record, bytes, signature }] })!;
    expect(readRelocationSlot(context, slot, moved)!.relocations).toMatchObject([{ signed: false }]);
  });
});
