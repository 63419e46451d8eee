import { toHex, utf8Encode } from '../core/bytes.ts';
import { keyedHash } from './derive.ts';
import type { VaultSubkeys } from './subkeys.ts';

/** What a vault does with its subkeys. */
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

export function vaultKeysOf({ id, wrap, pointer, name, slot }: VaultSubkeys): VaultKeys {
  return {
    id,
    wrap,
    pointer,
    nameKey: (text) => toHex(keyedHash(name, utf8Encode(text))),
    slotName: (text) => toHex(keyedHash(slot, utf8Encode(text))),
  };
}
