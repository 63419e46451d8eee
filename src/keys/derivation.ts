import { blake3 } from '@noble/hashes/blake3.js';
import { concatBytes, toHex, u64, utf8Encode } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import { type SigningKey, signingKeyOf } from './signing.ts';

/**
 * Keys are derived with BLAKE3 in its two modes that take secrets, by the portable library only. Native code never sees a
 * root, an object key or a key derived from one, except the single-use key of a chunk that it encrypts, and the key that
 * signs, which Node's own library holds.
 */

/** @param context a fixed, application-unique string. @returns a 32-byte subkey. */
export const deriveKey = (context: string, material: Uint8Array): Uint8Array =>
  blake3(material, { context: utf8Encode(context) });

/** @param key 32 bytes. @returns 32 bytes. */
export const keyedHash = (key: Uint8Array, data: Uint8Array): Uint8Array => blake3(data, { key });

/**
 * Every `derive_key` context in use, each for one purpose. A string here never changes its meaning;
 * a new meaning gets a new string. `docs/format/keys.md` lists them for other implementations.
 */
export const CONTEXT = {
  vaultWrap: 'holdfast 2026-11 vault wrap key',
  vaultName: 'holdfast 2026-11 vault name key',
  vaultPointer: 'holdfast 2026-11 vault pointer key',
  vaultSlot: 'holdfast 2026-11 vault slot key',
  vaultNameIndex: 'holdfast 2026-11 vault name index key',
  vaultSigning: 'holdfast 2026-11 vault signing key',
  vaultId: 'holdfast 2026-11 vault id',
  objectCommitment: 'holdfast 2026-11 object key commitment',
  objectManifestMac: 'holdfast 2026-11 object manifest mac key',
  objectSealed: 'holdfast 2026-11 object sealed part key',
  objectProvider: 'holdfast 2026-11 object provider key',
  providerChunk: 'holdfast 2026-11 provider chunk key',
  gatewaySigning: 'holdfast 2026-11 gateway signing seed',
  receiptsEpoch: 'holdfast 2026-11 receipts epoch secret',
  receiptsPath: 'holdfast 2026-11 receipts path key',
  receiptsClient: 'holdfast 2026-11 receipts client key',
  receiptsReadId: 'holdfast 2026-11 receipts read id key',
} as const;

/** Keys of one object version, all derived from its 32 random bytes. */
export interface ObjectKeys {
  /** Public: proves which key opens the object before anything is decrypted with it. */
  readonly commitment: Uint8Array;
  readonly manifestMac: Uint8Array;
  readonly sealed: Uint8Array;
  /** Key of the chunks whose key provider it is. */
  providerKey(providerId: string): Uint8Array;
  /** Single-use key of one chunk. @param salt 16 fresh random bytes. */
  chunkKey(keyProviderId: string, salt: Uint8Array, chunkIndex: number): Uint8Array;
}

export function deriveObjectKeys(objectKey: Uint8Array): ObjectKeys {
  if (objectKey.length !== 32) throw new TypeError('an object key has 32 bytes');
  const providerKeys = new Map<string, Uint8Array>();
  const providerKey = (id: string): Uint8Array =>
    entryOf(providerKeys, id, () =>
      deriveKey(CONTEXT.objectProvider, concatBytes(objectKey, utf8Encode(id))),
    );
  return {
    commitment: deriveKey(CONTEXT.objectCommitment, objectKey),
    manifestMac: deriveKey(CONTEXT.objectManifestMac, objectKey),
    sealed: deriveKey(CONTEXT.objectSealed, objectKey),
    providerKey,
    chunkKey: (id, salt, index) =>
      deriveKey(CONTEXT.providerChunk, concatBytes(providerKey(id), salt, u64(index))),
  };
}

/** The keys derived from a vault's root: all that a running vault needs. The root itself encrypts nothing. */
export interface VaultSubkeys {
  /** Public id of the vault, 16 hex digits. */
  readonly id: string;
  readonly wrap: Uint8Array;
  readonly pointer: Uint8Array;
  readonly name: Uint8Array;
  readonly slot: Uint8Array;
}

export function deriveSubkeys(root: Uint8Array): VaultSubkeys {
  if (root.length !== 32) throw new TypeError('a vault root key has 32 bytes');
  const derive = (context: string): Uint8Array => deriveKey(context, root);
  return {
    id: toHex(derive(CONTEXT.vaultId)).slice(0, 16),
    wrap: derive(CONTEXT.vaultWrap),
    pointer: derive(CONTEXT.vaultPointer),
    name: derive(CONTEXT.vaultName),
    slot: derive(CONTEXT.vaultSlot),
  };
}

/** What a vault does with its subkeys. */
export interface VaultKeys {
  /** Public id of the vault, 16 hex digits. */
  readonly id: string;
  /** Wraps object keys. */
  readonly wrap: Uint8Array;
  /** Seals name pointers. */
  readonly pointer: Uint8Array;
  /** Seals the pages of the ordered index of names. */
  readonly nameIndex: Uint8Array;
  /** Signs what the vault's engine has recorded. Undefined where there is no key. */
  readonly signing: SigningKey | undefined;
  /** Opaque key of a name in the engine: 64 hex digits. */
  nameKey(name: string): string;
  /** Opaque slot of a name at the providers: 64 hex digits. */
  slotName(name: string): string;
}

export function vaultKeysOf({ id, wrap, pointer, name, slot }: VaultSubkeys): VaultKeys {
  return {
    id,
    wrap,
    pointer,
    // Of a subkey, so that whoever was given the subkeys before there was an index has this one too.
    nameIndex: deriveKey(CONTEXT.vaultNameIndex, pointer),
    signing: signingKeyOf(deriveKey(CONTEXT.vaultSigning, pointer)),
    nameKey: (text) => toHex(keyedHash(name, utf8Encode(text))),
    slotName: (text) => toHex(keyedHash(slot, utf8Encode(text))),
  };
}
