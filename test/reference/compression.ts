/** The two in-house codecs, read as `docs/format/compression.md` says. */

class Tokens {
  readonly out: number[] = [];
  #at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get more(): boolean {
    return this.#at < this.#bytes.length;
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error('truncated');
    return byte;
  }

  varint(): number {
    let value = 0;
    for (let place = 1; ; place *= 128) {
      const byte = this.byte();
      value += (byte % 128) * place;
      if (byte < 128) return value;
    }
  }

  literals(length: number): void {
    for (let i = 0; i < length; i++) this.out.push(this.byte());
  }

  run(length: number): void {
    const byte = this.byte();
    for (let i = 0; i < length; i++) this.out.push(byte);
  }

  copy(length: number, distance: number): void {
    for (let i = 0; i < length; i++) this.out.push(this.out[this.out.length - distance]!);
  }
}

export function rle(bytes: Uint8Array): Uint8Array {
  const tokens = new Tokens(bytes);
  while (tokens.more) {
    const header = tokens.varint();
    const length = Math.floor(header / 2);
    if (header % 2 === 0) tokens.literals(length);
    else tokens.run(length);
  }
  return Uint8Array.from(tokens.out);
}

export function lz77Rle(bytes: Uint8Array): Uint8Array {
  const tokens = new Tokens(bytes);
  while (tokens.more) {
    const header = tokens.varint();
    const length = Math.floor(header / 4);
    if (header % 4 === 0) tokens.literals(length);
    else if (header % 4 === 1) tokens.run(length);
    else if (header % 4 === 2) tokens.copy(length, tokens.varint());
    else throw new Error('unknown token');
  }
  return Uint8Array.from(tokens.out);
}
