import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import { CODEC_IDS, type Codec, corruptCompressed } from './codec.ts';

export interface Zstd {
  readonly implementation: string;
  /** @param into used for the result if it has room. */
  compress(plain: Uint8Array, level: number, into?: Uint8Array): Uint8Array;
  /** @param size what the frame's header states. @param into used for the result if it has room. */
  decompress(frame: Uint8Array, size: number, into?: Uint8Array): Uint8Array;
}

/** zstd (RFC 8878), the best first: `node:zlib` where Node has it (22.15), then the addon. */
export function nativeZstd(level: number): Codec[] {
  return [zlibZstd(), addonZstd()].flatMap((zstd) => (zstd === undefined ? [] : [zstdCodec(zstd, level)]));
}

/** The reference, on WebAssembly. */
export const portableZstd = async (level: number): Promise<Codec> => zstdCodec(await wasmZstd(), level);

/** @internal Tests compare the twins. */
export function zstdCodec(zstd: Zstd, level: number): Codec {
  return {
    id: CODEC_IDS.zstd,
    name: 'zstd',
    implementation: zstd.implementation,
    compress: (plain, into) => zstd.compress(plain, level, into),
    decompress(frame, maxLength, into) {
      const size = zstdContentSize(frame);
      if (size > maxLength) throw corruptCompressed('zstd');
      let plain: Uint8Array;
      try {
        plain = zstd.decompress(frame, size, into);
      } catch (cause) {
        throw corruptCompressed('zstd', cause);
      }
      if (plain.length !== size) throw corruptCompressed('zstd');
      return plain;
    },
  };
}

/** The part of Node 22.15's `node:zlib` used here; Node 20's types do not know it. */
interface ZlibWithZstd {
  zstdCompressSync?(
    plain: Uint8Array,
    options: { params: Record<number, number>; pledgedSrcSize: number },
  ): Buffer;
  zstdDecompressSync?(frame: Uint8Array, options: { maxOutputLength: number }): Buffer;
  readonly constants: { readonly ZSTD_c_compressionLevel?: number };
}

/** @internal Tests compare the twins. */
export function zlibZstd(): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync, constants } = zlib as unknown as ZlibWithZstd;
  const key = constants.ZSTD_c_compressionLevel;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined || key === undefined)
    return undefined;
  return {
    implementation: 'node:zlib',
    compress: (plain, level) =>
      zstdCompressSync(plain, { params: { [key]: level }, pledgedSrcSize: plain.length }),
    decompress: (frame, size) => zstdDecompressSync(frame, { maxOutputLength: Math.max(1, size) }),
  };
}

/** The addon's thin binding: zstd's own contexts, kept, and memory of ours to write to. */
interface ZstdNapi {
  readonly CCtx: new () => {
    setParameter(parameter: number, value: number): void;
    compress2(into: Uint8Array, plain: Uint8Array): number;
  };
  readonly DCtx: new () => { decompress(into: Uint8Array, frame: Uint8Array): number };
  readonly CParameter: { readonly compressionLevel: number };
  compressBound(length: number): number;
}

/** @internal Tests compare the twins. */
export function addonZstd(): Zstd | undefined {
  try {
    const addon = createRequire(import.meta.url)('zstd-napi/binding') as ZstdNapi;
    const compressor = new addon.CCtx();
    const decompressor = new addon.DCtx();
    return {
      implementation: 'zstd-napi',
      compress(plain, level, into) {
        const out = roomy(addon.compressBound(plain.length), into);
        compressor.setParameter(addon.CParameter.compressionLevel, level);
        return out.subarray(0, compressor.compress2(out, plain));
      },
      decompress(frame, size, into) {
        const out = roomy(size, into);
        return out.subarray(0, decompressor.decompress(out, frame));
      },
    };
  } catch {
    return undefined; // optional: not built on this machine
  }
}

const roomy = (length: number, into: Uint8Array | undefined): Uint8Array =>
  into !== undefined && into.length >= length ? into.subarray(0, length) : new Uint8Array(length);

type ZstdWasm = typeof import('@bokuweb/zstd-wasm');

/**
 * The package keeps one instance for all; to initialise it again would swap its memory under those who use it. Kept for
 * the whole process, for a program may load this module twice, as when two of its bundles hold it.
 */
const INSTANCE = Symbol.for('holdfast.zstd-wasm');
const ofProcess = globalThis as { [INSTANCE]?: Promise<ZstdWasm> };

async function initialised(): Promise<ZstdWasm> {
  const wasm = await import('@bokuweb/zstd-wasm');
  await wasm.init();
  return wasm;
}

/** @internal Tests compare the twins. */
export async function wasmZstd(): Promise<Zstd> {
  ofProcess[INSTANCE] ??= initialised();
  const wasm = await ofProcess[INSTANCE];
  return {
    implementation: '@bokuweb/zstd-wasm',
    compress: (plain, level) => wasm.compress(plain, level),
    decompress: (frame) => wasm.decompress(frame),
  };
}

const MAGIC = 0xfd2fb528;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/**
 * The decompressed size of data that is one zstd frame (RFC 8878, 3.1.1) and nothing behind it. Our frames always
 * state their size, so a decoder that allocates what frame headers ask for is bounded before it runs.
 * @throws HoldfastError `Corrupt` when the frame is malformed, cut, states no size, or is not alone.
 */
export function zstdContentSize(frame: Uint8Array): number {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (frame.length < 6 || view.getUint32(0, true) !== MAGIC) throw corruptCompressed('zstd');
  const descriptor = frame[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
  const sizeFlag = descriptor >> 6;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (singleSegment ? 0 : 1) + dictionaryBytes;
  const sizeBytes = sizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << sizeFlag;
  if (sizeBytes === 0 || at + sizeBytes > frame.length) throw corruptCompressed('zstd');
  if (blocksEnd(view, at + sizeBytes) + checksumBytes !== frame.length) throw corruptCompressed('zstd');
  if (sizeBytes === 1) return frame[at]!;
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return Number(view.getBigUint64(at, true));
}

/** The offset behind the last block (RFC 8878, 3.1.1.2). */
function blocksEnd(view: DataView, from: number): number {
  let at = from;
  for (let last = false; !last; ) {
    if (at + 3 > view.byteLength) throw corruptCompressed('zstd');
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const type = (header >> 1) & 3;
    if (type === RESERVED_BLOCK) throw corruptCompressed('zstd');
    last = (header & 1) === 1;
    at += 3 + (type === RLE_BLOCK ? 1 : header >> 3);
  }
  return at;
}
