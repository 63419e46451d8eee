/** What is used of libsodium's WebAssembly build. Numbers are addresses; lengths are two halves, the low one first. */
declare module 'libsodium' {
  export interface Sodium {
    readonly HEAPU8: Uint8Array;
    _malloc(bytes: number): number;
    _free(address: number): void;
    /** Sealed, tag, 0, plain, its length, additional data, its length, 0, nonce, key. */
    _crypto_aead_chacha20poly1305_ietf_encrypt_detached(...addresses: number[]): number;
    /** Plain, 0, sealed, its length, tag, additional data, its length, nonce, key. @returns 0 if authentic. */
    _crypto_aead_chacha20poly1305_ietf_decrypt_detached(...addresses: number[]): number;
  }
  /** Compiles an instance with memory of its own. */
  export default function load(): Promise<Sodium>;
}
