import { type CodecName, corruptCompressed } from './codec.ts';

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
