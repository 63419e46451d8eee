import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { HoldfastError } from '../../core/errors.ts';
import { HttpProblem, tooLarge } from '../../http/message/problem.ts';

/** Undoes a content coding. What it is given is pulled; what it gives is at most {@link INFLATED_PIECE_BYTES} a piece. */
export type Inflater = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

export interface InflateLimits {
  /** Absolute cap of the inflated bytes. */
  readonly maxBytes: number;
  /** Length of the compressed body if it is stated. */
  readonly statedBytes: number | undefined;
}

export const MAX_INFLATE_RATIO = 10;
export const INFLATED_PIECE_BYTES: number = 64 * 1024;

export const gunzip: Inflater = (source) => {
  const input = Readable.from(source, { objectMode: false });
  const inflated = input.pipe(createGunzip({ chunkSize: INFLATED_PIECE_BYTES }));
  // `pipe` does not carry failures of the source on.
  input.once('error', (error) => inflated.destroy(error));
  return stopBoth(inflated, input);
};

/** Also lets go of the source when the reader stops early. */
export async function* stopBoth(
  inflated: Readable,
  input: Readable,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for await (const piece of inflated as AsyncIterable<Buffer>) {
      yield new Uint8Array(piece.buffer, piece.byteOffset, piece.length);
    }
  } finally {
    inflated.destroy();
    input.destroy();
  }
}

/**
 * Inflates a body under two caps: `maxBytes`, and ten times what it was compressed. The second holds at every moment
 * against the stated length, or else against what has come so far, and at the end against all that came.
 * @throws HttpProblem 413 over a cap, at the piece that crosses it; 400 when the body is not what its coding says.
 */
export async function* inflateBody(
  inflate: Inflater,
  source: AsyncIterable<Uint8Array>,
  { maxBytes, statedBytes }: InflateLimits,
): AsyncGenerator<Uint8Array, void, undefined> {
  let taken = 0;
  let given = 0;
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of source) {
      taken += piece.length;
      yield piece;
    }
  }
  try {
    for await (const piece of inflate(counted())) {
      given += piece.length;
      if (given > maxBytes) throw tooLarge(maxBytes, 'the inflated body');
      // Without a stated length a small head start, so that a body may begin with its most compressible part.
      const allowed = MAX_INFLATE_RATIO * (statedBytes ?? taken + INFLATED_PIECE_BYTES);
      if (given > allowed) throw bomb();
      yield piece;
    }
  } catch (error) {
    if (error instanceof HttpProblem || error instanceof HoldfastError) throw error;
    throw new HttpProblem(400, 'BadRequest', 'the body is not what its Content-Encoding says', {
      close: true,
      cause: error,
    });
  }
  if (given > MAX_INFLATE_RATIO * taken) throw bomb();
}

export function bomb(): HttpProblem {
  return new HttpProblem(
    413,
    'PayloadTooLarge',
    `the body inflates to more than ${MAX_INFLATE_RATIO} times its length`,
    { close: true },
  );
}
