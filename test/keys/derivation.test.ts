import { blake3 } from '@noble/hashes/blake3.js';
import { describe, expect, test } from 'vitest';
import { toHex, utf8Encode } from '../../src/core/bytes.ts';
import {
  CONTEXT,
  deriveKey,
  deriveObjectKeys,
  deriveSubkeys,
  keyedHash,
  vaultKeysOf,
} from '../../src/keys/derivation.ts';
import { vectorTest } from '../helpers/third-party.ts';

const ROOT = new Uint8Array(32).fill(0x11);
const OBJECT = new Uint8Array(32).fill(0x22);
const SALT = new Uint8Array(16).fill(0x33);

const derive = (context: string, ...material: Uint8Array[]): string =>
  toHex(blake3(Buffer.concat(material), { context: Buffer.from(context) }));

interface Blake3Vectors {
  readonly key: string;
  readonly context_string: string;
  readonly cases: readonly {
    readonly input_len: number;
    readonly keyed_hash: string;
    readonly derive_key: string;
  }[];
}

vectorTest<Blake3Vectors>(
  'BLAKE3 with secrets agrees with the official vectors',
  'blake3.json',
  (vectors) => {
    const key = utf8Encode(vectors.key);
    for (const { input_len, keyed_hash, derive_key } of vectors.cases) {
      const data = Uint8Array.from({ length: input_len }, (_, i) => i % 251);
      expect(toHex(keyedHash(key, data))).toBe(keyed_hash.slice(0, 64));
      expect(toHex(deriveKey(vectors.context_string, data))).toBe(derive_key.slice(0, 64));
    }
    expect(vectors.cases.length).toBe(35);
  },
);

describe('vault keys', () => {
  test('are derived from the root, each with the context that the format names', () => {
    const keys = vaultKeysOf(deriveSubkeys(ROOT));
    expect(toHex(keys.wrap)).toBe(derive('holdfast 2026-11 vault wrap key', ROOT));
    expect(toHex(keys.pointer)).toBe(derive('holdfast 2026-11 vault pointer key', ROOT));
    expect(keys.id).toBe(derive('holdfast 2026-11 vault id', ROOT).slice(0, 16));
    const keyed = (context: string, name: string): string =>
      toHex(blake3(Buffer.from(name), { key: Buffer.from(derive(context, ROOT), 'hex') }));
    expect(keys.nameKey('wörter.txt')).toBe(keyed('holdfast 2026-11 vault name key', 'wörter.txt'));
    expect(keys.slotName('wörter.txt')).toBe(keyed('holdfast 2026-11 vault slot key', 'wörter.txt'));
  });

  test('a root of another length is a caller’s bug', () => {
    expect(() => vaultKeysOf(deriveSubkeys(new Uint8Array(31)))).toThrow(TypeError);
    expect(() => deriveObjectKeys(new Uint8Array(33))).toThrow(TypeError);
  });
});

describe('object keys', () => {
  const keys = deriveObjectKeys(OBJECT);

  test('are derived from the object key, each with the context that the format names', () => {
    expect(toHex(keys.commitment)).toBe(derive('holdfast 2026-11 object key commitment', OBJECT));
    expect(toHex(keys.manifestMac)).toBe(derive('holdfast 2026-11 object manifest mac key', OBJECT));
    expect(toHex(keys.sealed)).toBe(derive('holdfast 2026-11 object sealed part key', OBJECT));
    const provider = derive('holdfast 2026-11 object provider key', OBJECT, Buffer.from('p1'));
    expect(toHex(keys.providerKey('p1'))).toBe(provider);
    const index = Buffer.from('0501000000000000', 'hex');
    expect(toHex(keys.chunkKey('p1', SALT, 0x105))).toBe(
      derive('holdfast 2026-11 provider chunk key', Buffer.from(provider, 'hex'), SALT, index),
    );
  });

  test('a chunk key differs with the lead, the salt and the index', () => {
    const other = SALT.slice();
    other[15]! ^= 1;
    const all = [
      keys.chunkKey('p1', SALT, 0),
      keys.chunkKey('p2', SALT, 0),
      keys.chunkKey('p1', other, 0),
      keys.chunkKey('p1', SALT, 1),
      keys.chunkKey('p1', SALT, 2 ** 32),
      keys.chunkKey('p1', SALT, 2 ** 53 - 1),
    ].map(toHex);
    expect(new Set(all).size).toBe(all.length);
  });

  test('no two contexts are alike', () => {
    expect(new Set(Object.values(CONTEXT)).size).toBe(17);
  });
});
