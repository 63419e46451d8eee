import { createRequire } from 'node:module';
import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { createGunzip } from 'node:zlib';
import { selectCodec } from '../coding/compress/select.ts';
import { zstdContentSize } from '../coding/compress/zstd.ts';
import type { Acceleration } from '../core/acceleration.ts';
import { concatBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';
import { HttpProblem, tooLarge } from '../http/problem.ts';

/** Undoes a content coding. It pulls its source and gives pieces of at most {@link INFLATED_PIECE_BYTES}. */
export type Inflater = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

interface InflateLimits {
  /** Absolute cap of the inflated bytes. */
  readonly maxBytes: number;
  /** Length of the compressed body, if the request states it. */
  readonly statedBytes: number | undefined;
}

const MAX_INFLATE_RATIO = 10;
const INFLATED_PIECE_BYTES: number = 64 * 1024;

export const gunzip: Inflater = (source) => {
  const input = Readable.from(source, { objectMode: false });
  const inflated = input.pipe(createGunzip({ chunkSize: INFLATED_PIECE_BYTES }));
  // `pipe` does not carry failures of the source on.
  input.once('error', (error) => inflated.destroy(error));
  return stopBoth(inflated, input);
};

/** Lets go of the source too when the reader stops early. */
async function* stopBoth(inflated: Readable, input: Readable): AsyncGenerator<Uint8Array, void, undefined> {
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
 * Inflates a body under two caps: `maxBytes`, and ten times its compressed length. The second is checked all the way
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
      // Without a stated length there is a small head start: a body may begin with its most compressible part.
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

function bomb(): HttpProblem {
  return new HttpProblem(
    413,
    'PayloadTooLarge',
    `the body inflates to more than ${MAX_INFLATE_RATIO} times its length`,
    { close: true },
  );
}

/** The longest window that RFC 9659 lets the zstd content coding ask for. */
const WINDOW_LOG_MAX = 23;
/** Without a streaming decoder a body is held whole. A longer one is refused. */
const MAX_HELD_BYTES = 8 * 1024 * 1024;

/** The best zstd decoder there is here: Node's own (22.15), the addon's, else the portable one. */
export async function selectZstdInflater(acceleration: Acceleration): Promise<Inflater> {
  return (acceleration.native && (zlibInflater() ?? addonInflater())) || heldInflater();
}

/** The part of Node 22.15's `node:zlib` used here; Node 20's types do not know it. */
interface ZlibWithZstd {
  createZstdDecompress?(options: { chunkSize: number; params: Record<number, number> }): Transform;
  readonly constants: { readonly ZSTD_d_windowLogMax?: number };
}

function zlibInflater(): Inflater | undefined {
  const { createZstdDecompress, constants } = zlib as unknown as ZlibWithZstd;
  const key = constants.ZSTD_d_windowLogMax;
  if (createZstdDecompress === undefined || key === undefined) return undefined;
  return (source) => {
    const input = Readable.from(source, { objectMode: false });
    const options = { chunkSize: INFLATED_PIECE_BYTES, params: { [key]: WINDOW_LOG_MAX } };
    const inflated = input.pipe(createZstdDecompress(options));
    input.once('error', (error) => inflated.destroy(error));
    return stopBoth(inflated, input);
  };
}

/** `ZSTD_decompressStream` of the addon's low-level binding: unlike its stream, it makes output only when asked. */
interface ZstdBinding {
  readonly DCtx: new () => {
    setParameter(parameter: number, value: number): void;
    /** @returns [hint, bytes written, bytes read]; a hint of 0 ends a frame. */
    decompressStream(into: Uint8Array, from: Uint8Array): [number, number, number];
  };
  readonly DParameter: { readonly windowLogMax: number };
}

/** @internal Tests compare the twins. */
export function addonInflater(): Inflater | undefined {
  try {
    const binding = createRequire(import.meta.url)('zstd-napi/binding') as ZstdBinding;
    return (source) => inflateWith(binding, source);
  } catch {
    return undefined; // optional: not built on this machine
  }
}

async function* inflateWith(
  { DCtx, DParameter }: ZstdBinding,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const context = new DCtx();
  context.setParameter(DParameter.windowLogMax, WINDOW_LOG_MAX);
  let unfinished = false;
  for await (const piece of source) {
    let left = piece;
    for (let full = true; left.length > 0 || full; ) {
      const into = new Uint8Array(INFLATED_PIECE_BYTES);
      const [hint, written, read] = context.decompressStream(into, left);
      if (written === 0 && read === 0) break;
      unfinished = hint !== 0;
      full = written === into.length;
      left = left.subarray(read);
      if (written > 0) yield into.subarray(0, written);
    }
  }
  if (unfinished) throw new Error('the last frame is not complete');
}

/**
 * One frame that states its size, taken whole and checked against that size before it is decoded.
 * @internal Tests compare the twins.
 */
export async function heldInflater(): Promise<Inflater> {
  const codec = await selectCodec('zstd', 1, { native: false, wasm: true });
  return async function* (source) {
    const frame = await hold(source);
    const size = readable(() => zstdContentSize(frame));
    if (size > MAX_INFLATE_RATIO * frame.length) throw bomb();
    if (size > MAX_HELD_BYTES) throw tooLarge(MAX_HELD_BYTES, 'the inflated body');
    const plain = readable(() => codec.decompress(frame, size));
    for (let at = 0; at < plain.length; at += INFLATED_PIECE_BYTES) {
      yield plain.subarray(at, at + INFLATED_PIECE_BYTES);
    }
  };
}

async function hold(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of source) {
    size += piece.length;
    if (size > MAX_HELD_BYTES) throw tooLarge(MAX_HELD_BYTES);
    pieces.push(piece.slice());
  }
  return concatBytes(...pieces);
}

/** Blames the client for a bad frame, where the codec would blame the store. */
function readable<T>(decode: () => T): T {
  try {
    return decode();
  } catch (cause) {
    throw new HttpProblem(400, 'BadRequest', 'the body is not one zstd frame that states its size', {
      close: true,
      cause,
    });
  }
}
