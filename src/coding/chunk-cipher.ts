import { u64 } from '../core/bytes.ts';

/** What a chunk's ciphertext is bound to. */
export interface ChunkIdentity {
  /** 16 bytes. */
  readonly objectId: Uint8Array;
  readonly index: number;
  readonly last: boolean;
  /** Bytes of plaintext before compression. */
  readonly plainLength: number;
  /** Codec id of `docs/format/compression.md`. */
  readonly codec: number;
}

const FORMAT_VERSION = 1;
export const OBJECT_ID_BYTES: number = 16;

/** Additional data of a chunk, 35 bytes: version ‖ object id ‖ index ‖ last ‖ plain length ‖ codec. */
export function chunkAad(chunk: ChunkIdentity): Uint8Array {
  const aad = new Uint8Array(35);
  aad[0] = FORMAT_VERSION;
  aad.set(chunk.objectId, 1);
  aad.set(u64(chunk.index), 17);
  aad[25] = chunk.last ? 1 : 0;
  aad.set(u64(chunk.plainLength), 26);
  aad[34] = chunk.codec;
  return aad;
}
