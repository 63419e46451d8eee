import { concatBytes, u64, utf8Encode } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import { CONTEXT } from './contexts.ts';
import { deriveKey } from './derive.ts';

/** Keys of one object version, all derived from its 32 random bytes. */
export interface ObjectKeys {
  /** Public: proves which key opens the object before anything is decrypted with it. */
  readonly commitment: Uint8Array;
  readonly manifestMac: Uint8Array;
  readonly sealed: Uint8Array;
  /** Key of the chunks that a provider leads. */
  providerKey(providerId: string): Uint8Array;
  /** Single-use key of one chunk. @param salt 16 fresh random bytes. */
  chunkKey(leadProviderId: string, salt: Uint8Array, chunkIndex: number): Uint8Array;
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
    chunkKey: (lead, salt, index) =>
      deriveKey(CONTEXT.providerChunk, concatBytes(providerKey(lead), salt, u64(index))),
  };
}
