/** The little of CBOR that Holdfast's nodes use, read the slow and obvious way: `docs/format/manifest.md`. */

export class Link {
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }
}

export type Value = number | string | Uint8Array | null | Link | Value[] | CborMap;

/** A map and, for its MAC, the bytes of each of its entries. */
export class CborMap {
  readonly values: Map<string, Value> = new Map();
  readonly raw: { readonly key: string; readonly bytes: Uint8Array }[] = [];

  get(key: string): Value {
    const value = this.values.get(key);
    if (value === undefined) throw new Error(`${key} is missing`);
    return value;
  }

  number(key: string): number {
    const value = this.get(key);
    if (typeof value !== 'number') throw new Error(`${key} is no number`);
    return value;
  }

  text(key: string): string {
    const value = this.get(key);
    if (typeof value !== 'string') throw new Error(`${key} is no text`);
    return value;
  }

  bytes(key: string): Uint8Array {
    const value = this.get(key);
    if (!(value instanceof Uint8Array)) throw new Error(`${key} is no bytes`);
    return value;
  }

  list(key: string): Value[] {
    const value = this.get(key);
    if (!Array.isArray(value)) throw new Error(`${key} is no list`);
    return value;
  }

  map(key: string): CborMap {
    const value = this.get(key);
    if (!(value instanceof CborMap)) throw new Error(`${key} is no map`);
    return value;
  }

  /** The encoding of the same map without one of its entries. Maps here have at most 23. */
  without(key: string): Uint8Array {
    const kept = this.raw.filter((entry) => entry.key !== key);
    return Buffer.concat([Uint8Array.of(0xa0 | kept.length), ...kept.map((entry) => entry.bytes)]);
  }
}

export function readMap(bytes: Uint8Array): CborMap {
  const reader = new Reader(bytes);
  const value = reader.value();
  if (reader.at !== bytes.length) throw new Error('trailing bytes');
  if (!(value instanceof CborMap)) throw new Error('not a map');
  return value;
}

class Reader {
  at = 0;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(): Value {
    const first = this.#take(1)[0]!;
    const major = first >> 5;
    if (first === 0xf6) return null;
    const argument = this.#argument(first & 31);
    switch (major) {
      case 0:
        return argument;
      case 2:
        return this.#take(argument).slice();
      case 3:
        return new TextDecoder('utf-8', { fatal: true }).decode(this.#take(argument));
      case 4:
        return Array.from({ length: argument }, () => this.value());
      case 5:
        return this.#map(argument);
      case 6:
        return this.#link(argument);
      default:
        throw new Error(`major type ${major} has no place in a node`);
    }
  }

  #map(entries: number): CborMap {
    const map = new CborMap();
    let before = '';
    for (let i = 0; i < entries; i++) {
      const start = this.at;
      const key = this.value();
      if (typeof key !== 'string') throw new Error('a key is text');
      const ordered = key.length > before.length || (key.length === before.length && key > before);
      if (!ordered && i > 0) throw new Error('keys out of order');
      before = key;
      map.values.set(key, this.value());
      map.raw.push({ key, bytes: this.#bytes.subarray(start, this.at) });
    }
    return map;
  }

  #link(tag: number): Link {
    const content = this.value();
    if (tag !== 42 || !(content instanceof Uint8Array)) throw new Error('not a link');
    const hex = Buffer.from(content).toString('hex');
    if (!/^0001711e20[0-9a-f]{64}$/.test(hex)) throw new Error('not a link to a node');
    return new Link(`b3:${hex.slice(10)}`);
  }

  #argument(info: number): number {
    if (info < 24) return info;
    if (info > 27) throw new Error('indefinite lengths are not allowed');
    const width = 2 ** (info - 24);
    const value = Number(`0x${Buffer.from(this.#take(width)).toString('hex')}`);
    if (value < (width === 1 ? 24 : 256 ** (width / 2)) || !Number.isSafeInteger(value)) {
      throw new Error('an integer is written as short as can be and is at most 2^53 - 1');
    }
    return value;
  }

  #take(length: number): Uint8Array {
    const end = this.at + length;
    if (end > this.#bytes.length) throw new Error('truncated');
    const taken = this.#bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }
}
