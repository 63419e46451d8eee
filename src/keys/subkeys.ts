import { toHex } from '../core/bytes.ts';
import { CONTEXT } from './contexts.ts';
import { deriveKey } from './derive.ts';

/** What is derived from a vault's root, and all that a running vault needs. The root itself encrypts nothing. */
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
