import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { VaultContext } from '../context.ts';
import type { PlainChunk } from './window-read.ts';

/**
 * The chunks of a whole object, the last of them released only once all of them together have the hash that was taken
 * when the object was read to be stored.
 * @throws HoldfastError `Corrupt`, code `wrong_plain_hash`, in place of the last chunk.
 */
export async function* checkedWhole(
  context: VaultContext,
  chunks: AsyncIterable<PlainChunk>,
  size: number,
  plainHash: Uint8Array,
): AsyncGenerator<PlainChunk> {
  const hasher = context.blake3.createHasher();
  let left = size;
  let checked = false;
  for await (const chunk of chunks) {
    await timed(context, 'object-hash', async () => hasher.update(chunk.bytes));
    left -= chunk.bytes.length;
    if (left <= 0 && !checked) {
      if (!equalBytes(hasher.digest(), plainHash)) throw wrongHash();
      checked = true;
    }
    yield chunk;
  }
}

function wrongHash(): HoldfastError {
  return new HoldfastError('Corrupt', 'the object read is not the object that was put', {
    code: 'wrong_plain_hash',
    hint: 'Do not use what was written so far. Read it again, on another machine too: if it stays, it was put wrong.',
  });
}
