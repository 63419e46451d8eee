/** BLAKE3-256 (github.com/BLAKE3-team/BLAKE3-specs). Implementations give the same bytes and differ in speed only.
 * They see no keys: those are derived in `keys`. */
export interface Blake3 {
  /** Shown by `--version --verbose`. */
  readonly name: string;
  /** 32 bytes. `data` may lie in shared memory. */
  hash(data: Uint8Array): Uint8Array;
  /** Of the parts one after the other. */
  hashParts(parts: readonly Uint8Array[]): Uint8Array;
  createHasher(): Blake3Hasher;
}

export interface Blake3Hasher {
  update(data: Uint8Array): void;
  /** 32 bytes, of what was added so far; more may be added then. */
  digest(): Uint8Array;
}
