import type { Acceleration } from '../core/acceleration.ts';
import type { Blake3 } from '../core/b3/blake3.ts';
import { type OnUnfit, WRONG_BYTES } from '../core/fitness.ts';
import type { Aead } from './aead.ts';
import { sealsRight } from './aead-known.ts';

/** The fastest implementation that loads here and gives the right bytes. @param onUnfit told of those that do not. */
export async function selectAead(
  acceleration: Acceleration,
  blake3: Blake3,
  onUnfit?: OnUnfit,
): Promise<Aead> {
  if (acceleration.native) {
    const { nodeAead } = await import('./aead-node.ts');
    if (isRight(nodeAead, blake3)) return nodeAead;
    onUnfit?.('chacha20-poly1305', nodeAead.name, WRONG_BYTES);
  }
  return selectPortable(acceleration, blake3, onUnfit);
}

/** What checks the work of the one in use: another implementation, where there is one. */
export async function secondAead(first: Aead, acceleration: Acceleration, blake3: Blake3): Promise<Aead> {
  const second = await selectPortable(acceleration, blake3);
  return second.name === first.name ? (await import('./aead-portable.ts')).portableAead : second;
}

async function selectPortable(acceleration: Acceleration, blake3: Blake3, onUnfit?: OnUnfit): Promise<Aead> {
  if (acceleration.wasm) {
    const sodium = await (await import('./aead-sodium.ts')).createSodiumAead();
    if (isRight(sodium, blake3)) return sodium;
    onUnfit?.('chacha20-poly1305', sodium.name, WRONG_BYTES);
  }
  return (await import('./aead-portable.ts')).portableAead;
}

function isRight(aead: Aead, blake3: Blake3): boolean {
  try {
    return sealsRight(aead, blake3);
  } catch {
    return false;
  }
}
