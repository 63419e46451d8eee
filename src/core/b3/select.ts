import type { Acceleration } from '../acceleration.ts';
import { type OnUnfit, WRONG_BYTES } from '../fitness.ts';
import type { Blake3 } from './blake3.ts';
import { hashesRight } from './known.ts';

/** The fastest implementation that loads here and gives the right bytes. @param onUnfit told of those that do not. */
export async function selectBlake3(acceleration: Acceleration, onUnfit?: OnUnfit): Promise<Blake3> {
  if (acceleration.native) {
    const native = await load(async () => (await import('./native.ts')).nativeBlake3, onUnfit);
    if (native !== undefined) return native;
  }
  return selectPortable(acceleration, onUnfit);
}

/** What checks the work of the one in use: another implementation, where there is one. */
export async function secondBlake3(first: Blake3, acceleration: Acceleration): Promise<Blake3> {
  const second = await selectPortable(acceleration);
  return second.name === first.name ? (await import('./portable.ts')).portableBlake3 : second;
}

async function selectPortable(acceleration: Acceleration, onUnfit?: OnUnfit): Promise<Blake3> {
  if (acceleration.wasm) {
    const wasm = await load(async () => (await import('./wasm.ts')).wasmBlake3, onUnfit);
    if (wasm !== undefined) return wasm;
  }
  return (await import('./portable.ts')).portableBlake3;
}

async function load(get: () => Promise<Blake3>, onUnfit?: OnUnfit): Promise<Blake3 | undefined> {
  let candidate: Blake3;
  try {
    candidate = await get();
  } catch {
    return undefined; // not installed for this platform: the next one does
  }
  if (isRight(candidate)) return candidate;
  onUnfit?.('blake3', candidate.name, WRONG_BYTES);
  return undefined;
}

function isRight(candidate: Blake3): boolean {
  try {
    return hashesRight(candidate);
  } catch {
    return false;
  }
}
