import { CODEC_IDS, type Codec, type CodecName, corruptCompressed } from './codec.ts';

/** A token costs two bytes, so shorter repeats are left among the literals. */
const SHORTEST_RUN = 4;

/**
 * Run lengths, the fallback that needs nothing. A stream is tokens: a header in LEB128, whose lowest bit tells what
 * follows. 0: `header >> 1` literal bytes. 1: one byte, to be repeated `header >> 1` times. No length is zero.
 */
export const rleCodec: Codec = {
  id: CODEC_IDS.rle,
  name: 'rle',
  implementation: 'TypeScript',

  compress(plain) {
    const out = new Uint8Array(plain.length + (plain.length >> 10) + 2 * MAX_VARINT_BYTES);
    let at = 0;
    let literalsFrom = 0;
    const putLiterals = (end: number): void => {
      if (end === literalsFrom) return;
      at = putVarint(out, at, (end - literalsFrom) * 2);
      out.set(plain.subarray(literalsFrom, end), at);
      at += end - literalsFrom;
    };
    for (let i = 0; i + SHORTEST_RUN <= plain.length; ) {
      // No run of four can start at i, i + 1 or i + 2 when these two differ.
      if (plain[i + 2] !== plain[i + 3]) {
        i += 3;
        continue;
      }
      const end = runEnd(plain, i);
      if (end - i >= SHORTEST_RUN) {
        putLiterals(i);
        at = putVarint(out, at, (end - i) * 2 + 1);
        out[at++] = plain[i]!;
        literalsFrom = end;
      }
      i = end;
    }
    putLiterals(plain.length);
    return out.slice(0, at);
  },

  decompress(compressed, maxLength) {
    const out = new Uint8Array(expandedLength(compressed, maxLength));
    let to = 0;
    for (const { from, length, repeated } of tokens(compressed)) {
      if (repeated) out.fill(compressed[from]!, to, to + length);
      else out.set(compressed.subarray(from, from + length), to);
      to += length;
    }
    return out;
  },
};

function runEnd(bytes: Uint8Array, from: number): number {
  const byte = bytes[from];
  let end = from + 1;
  while (end < bytes.length && bytes[end] === byte) end++;
  return end;
}

/** Checks the whole stream before anything is allocated for it. */
function expandedLength(compressed: Uint8Array, maxLength: number): number {
  let total = 0;
  for (const { length } of tokens(compressed)) {
    total += length;
    if (total > maxLength) throw corruptCompressed('rle');
  }
  return total;
}

interface Token {
  readonly from: number;
  readonly length: number;
  readonly repeated: boolean;
}

function* tokens(compressed: Uint8Array): Generator<Token> {
  let at = 0;
  while (at < compressed.length) {
    const { value: header, next } = readVarint(compressed, at, 'rle');
    at = next;
    const length = Math.floor(header / 2);
    const repeated = header % 2 === 1;
    const from = at;
    at += repeated ? 1 : length;
    if (length === 0 || at > compressed.length) throw corruptCompressed('rle');
    yield { from, length, repeated };
  }
}

/** 2^35 − 1: far over any chunk. */
export const MAX_VARINT_BYTES = 5;

/** Writes LEB128: seven bits a byte, lowest first. @returns the offset behind it. */
export function putVarint(out: Uint8Array, at: number, value: number): number {
  let to = at;
  let rest = value;
  while (rest > 0x7f) {
    out[to++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  out[to++] = rest;
  return to;
}

/** @throws HoldfastError `Corrupt` when it does not end within {@link MAX_VARINT_BYTES}. */
export function readVarint(
  bytes: Uint8Array,
  from: number,
  codec: CodecName,
): { value: number; next: number } {
  let value = 0;
  for (let place = 0; place < MAX_VARINT_BYTES; place++) {
    const byte = bytes[from + place];
    if (byte === undefined) throw corruptCompressed(codec);
    value += (byte & 0x7f) * 128 ** place;
    if (byte < 0x80) return { value, next: from + place + 1 };
  }
  throw corruptCompressed(codec);
}
