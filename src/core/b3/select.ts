import type { Acceleration } from '../acceleration.ts';
import { toHex } from '../bytes.ts';
import type { Blake3 } from './blake3.ts';

/** BLAKE3 of the bytes 0, 1, 2 from the official test vectors (input_len 3). */
const KNOWN = 'e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f';

/** The fastest implementation that loads here and gives the right bytes. */
export async function selectBlake3(acceleration: Acceleration): Promise<Blake3> {
  if (acceleration.native) {
    const native = await load(async () => (await import('./native.ts')).nativeBlake3);
    if (native !== undefined) return native;
  }
  if (acceleration.wasm) {
    const wasm = await load(async () => (await import('./wasm.ts')).wasmBlake3);
    if (wasm !== undefined) return wasm;
  }
  return (await import('./portable.ts')).portableBlake3;
}

async function load(get: () => Promise<Blake3>): Promise<Blake3 | undefined> {
  try {
    const candidate = await get();
    return toHex(candidate.hash(Uint8Array.of(0, 1, 2))) === KNOWN ? candidate : undefined;
  } catch {
    return undefined; // not installed for this platform: the next one does
  }
}
