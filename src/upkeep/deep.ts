import { asHoldfastError } from '../core/errors.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { type OpenedObject, readOpened } from '../pipeline/get/get.ts';

/** What reading an object as its owner would came to. */
export interface DeepResult {
  /** Bytes of plaintext read and compared. */
  readonly plainBytes: number;
  /** Chunks whose shards are all as they were put, and do not belong together: the parity of these rebuilds nothing. */
  readonly chunksWithWrongParity: number;
  /** Why it is not the object that was put, or cannot be read; undefined when it is. */
  readonly problem: { readonly code: string; readonly message: string } | undefined;
}

/** What deep reading ends with when the shards are all as they were put. */
const WRONG: ReadonlySet<string> = new Set(['wrong_plain_hash', 'authentication', 'malformed_compression']);

interface Verdict {
  readonly intact: boolean;
  readonly readable: boolean;
  readonly corrupt: boolean;
}

/** The verdict of the shards alone, and what reading them came to. */
export function withDeep<T extends Verdict>(result: T, deep: DeepResult): T & { readonly deep: DeepResult } {
  const { problem, chunksWithWrongParity } = deep;
  return {
    ...result,
    intact: result.intact && problem === undefined && chunksWithWrongParity === 0,
    readable: result.readable && problem === undefined,
    corrupt: result.corrupt || chunksWithWrongParity > 0 || WRONG.has(problem?.code ?? ''),
    deep,
  };
}

/** Reads, decrypts and decompresses all of an object and compares it with the hash that was taken when it was put. */
export async function readDeeply(
  context: VaultContext,
  opened: OpenedObject,
  chunksWithWrongParity: number,
  signal: AbortSignal,
): Promise<DeepResult> {
  let plainBytes = 0;
  try {
    for await (const piece of readOpened(context, opened, { signal }).borrow()) {
      plainBytes += piece.length;
    }
    return { plainBytes, chunksWithWrongParity, problem: undefined };
  } catch (thrown) {
    const { code, message, kind } = asHoldfastError(thrown);
    if (kind === 'Aborted') throw thrown;
    return { plainBytes, chunksWithWrongParity, problem: { code, message } };
  }
}
