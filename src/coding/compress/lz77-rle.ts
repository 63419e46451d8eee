import { CODEC_IDS, type Codec, corruptCompressed } from './codec.ts';
import { putVarint, readVarint } from './rle.ts';

const MIN_MATCH = 6;
const HASH_BITS = 14;
const LITERALS = 0;
const RUN = 1;
const MATCH = 2;

/**
 * The in-house hybrid of LZ77 and run lengths: one pass, one table, no entropy coder. A stream is tokens; a varint
 * `length × 4 + kind` comes first. Kind 0: `length` literal bytes follow. 1: one byte follows, to be repeated. 2: a
 * varint distance follows, from 1, to copy from; copies may overlap what they produce.
 */
export const lz77RleCodec: Codec = {
  id: CODEC_IDS['lz77-rle'],
  name: 'lz77-rle',
  implementation: 'TypeScript',
  compress,
  decompress,
};

function compress(plain: Uint8Array): Uint8Array {
  const out = new Uint8Array(plain.length + (plain.length >> 6) + 16);
  const table = new Int32Array(1 << HASH_BITS).fill(-1);
  let to = 0;
  let literalsFrom = 0;
  const flush = (end: number): void => {
    if (end === literalsFrom) return;
    to = putVarint(out, to, (end - literalsFrom) * 4 + LITERALS);
    out.set(plain.subarray(literalsFrom, end), to);
    to += end - literalsFrom;
  };
  for (let i = 0; i + MIN_MATCH <= plain.length; ) {
    const slot = hash(plain, i);
    const candidate = table[slot]!;
    table[slot] = i;
    const run = matchLength(plain, i, i + 1) + 1;
    const match = candidate < 0 ? 0 : matchLength(plain, candidate, i);
    if (Math.max(run, match) < MIN_MATCH) {
      i++;
      continue;
    }
    flush(i);
    if (run >= match) {
      to = putVarint(out, to, run * 4 + RUN);
      out[to++] = plain[i]!;
    } else {
      to = putVarint(out, to, match * 4 + MATCH);
      to = putVarint(out, to, i - candidate);
    }
    i += Math.max(run, match);
    literalsFrom = i;
  }
  flush(plain.length);
  return out.slice(0, to);
}

function decompress(compressed: Uint8Array, maxLength: number): Uint8Array {
  const out = new Uint8Array(maxLength);
  let at = 0;
  let to = 0;
  while (at < compressed.length) {
    const head = readVarint(compressed, at, 'lz77-rle');
    const length = Math.floor(head.value / 4);
    at = head.next;
    if (length === 0 || length > maxLength - to) throw corruptCompressed('lz77-rle');
    const kind = head.value % 4;
    if (kind === LITERALS && at + length <= compressed.length) {
      out.set(compressed.subarray(at, at + length), to);
      at += length;
    } else if (kind === RUN && at < compressed.length) {
      out.fill(compressed[at++]!, to, to + length);
    } else if (kind === MATCH) {
      const distance = readVarint(compressed, at, 'lz77-rle');
      at = distance.next;
      if (distance.value === 0 || distance.value > to) throw corruptCompressed('lz77-rle');
      for (let i = 0; i < length; i++) out[to + i] = out[to + i - distance.value]!;
    } else throw corruptCompressed('lz77-rle');
    to += length;
  }
  return out.slice(0, to);
}

/** Multiplicative hash of four bytes (Knuth, The Art of Computer Programming 3, 6.4). */
function hash(bytes: Uint8Array, at: number): number {
  const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
  return Math.imul(word, 0x9e3779b1) >>> (32 - HASH_BITS);
}

/** How far the bytes from `a` on repeat those from `b` on. */
function matchLength(bytes: Uint8Array, a: number, b: number): number {
  let length = 0;
  while (b + length < bytes.length && bytes[a + length] === bytes[b + length]) length++;
  return length;
}
