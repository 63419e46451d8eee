import { toHex } from '../../src/core/bytes.ts';
import { decodeNode } from '../../src/manifest/dag-cbor.ts';

const NONCE_BYTES = 24;
/** A nonce, a tag, and something sealed. */
const SHORTEST = NONCE_BYTES + 17;
const NAME_KEY_BYTES = 32;
/** Tables whose values are sealed as a whole. */
const SEALED_TABLES = ['names', 'resume'];

/**
 * All that was sealed under a random nonce: nonce ‖ ciphertext ‖ tag. No nonce may come with two ciphertexts, whatever
 * the key: that a nonce comes twice by chance does not happen.
 */
export class SealedRecords {
  readonly #seen = new Map<string, string>();
  readonly #onReuse: (where: string) => void;

  constructor(onReuse: (where: string) => void) {
    this.#onReuse = onReuse;
  }

  inEngine(table: string, key: string, value: Uint8Array): void {
    const isPage = table === 'name_index' && key.includes('/') && !key.includes('/damaged/');
    if (SEALED_TABLES.includes(table) || isPage) this.#see(table, value);
  }

  /** @param content name key ‖ sealed; or in the clear: JSON of who uses the place, or a node of where shards were moved to. */
  inSlot(content: Uint8Array): void {
    if (content[0] !== 0x7b && decoded(content) === undefined)
      this.#see('a slot', content.subarray(NAME_KEY_BYTES));
  }

  /** A node has sealed parts; a pack is ciphertext, of keys that are used once. */
  inBlob(blob: Uint8Array): void {
    const isMap = blob[0] !== undefined && blob[0] >= 0xa4 && blob[0] < 0xb8;
    const node = isMap ? decoded(blob) : undefined;
    if (node === undefined) return;
    if (node.sealed instanceof Uint8Array) this.#see('a node', node.sealed);
    for (const [, sealed] of Array.isArray(node.wraps) ? node.wraps : []) this.#see('a wrapped key', sealed);
  }

  #see(where: string, sealed: Uint8Array): void {
    if (sealed.length < SHORTEST) return;
    const nonce = toHex(sealed.subarray(0, NONCE_BYTES));
    const rest = toHex(sealed.subarray(NONCE_BYTES));
    if ((this.#seen.get(nonce) ?? rest) !== rest) this.#onReuse(where);
    this.#seen.set(nonce, rest);
  }
}

function decoded(blob: Uint8Array): Record<string, unknown> | undefined {
  try {
    return decodeNode(blob) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
