import type { Blake3 } from '../core/b3/blake3.ts';
import { toHex, utf8Encode } from '../core/bytes.ts';
import { CONTEXT } from './contexts.ts';

/** Subkeys of a vault's root. The root itself encrypts nothing. */
export interface VaultKeys {
  /** Public id of the vault, 16 hex digits. */
  readonly id: string;
  /** Wraps object keys. */
  readonly wrap: Uint8Array;
  /** Seals name pointers. */
  readonly pointer: Uint8Array;
  /** Opaque key of a name in the engine: 64 hex digits. */
  nameKey(name: string): string;
  /** Opaque slot of a name at the providers: 64 hex digits. */
  slotName(name: string): string;
}

export function deriveVaultKeys(blake3: Blake3, root: Uint8Array): VaultKeys {
  if (root.length !== 32) throw new TypeError('a vault root key has 32 bytes');
  const name = blake3.deriveKey(CONTEXT.vaultName, root);
  const slot = blake3.deriveKey(CONTEXT.vaultSlot, root);
  return {
    id: toHex(blake3.deriveKey(CONTEXT.vaultId, root)).slice(0, 16),
    wrap: blake3.deriveKey(CONTEXT.vaultWrap, root),
    pointer: blake3.deriveKey(CONTEXT.vaultPointer, root),
    nameKey: (text) => toHex(blake3.keyedHash(name, utf8Encode(text))),
    slotName: (text) => toHex(blake3.keyedHash(slot, utf8Encode(text))),
  };
}
