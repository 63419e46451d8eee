import { utf8Encode } from '../../core/bytes.ts';
import type { AnchorItem } from './anchor.ts';
import { sha256 } from './note.ts';

const FIRST_CAPACITY = 1_024;

/**
 * Where in a log an item may be, by 32 bits of the hash of its kind and key: 16 bytes of memory for an entry. What it names
 * has to be looked at, since another item can have the same bits.
 */
export class EntryIndex {
  /** Two numbers a place: the bits, and the index of the entry plus 1; 0 where it is free. */
  #table: Uint32Array = new Uint32Array(2 * FIRST_CAPACITY);
  #used = 0;

  /** Indexes of the entries to look at, the first first. */
  candidates(item: Pick<AnchorItem, 'kind' | 'key'>): number[] {
    const bits = bitsOf(item);
    const found: number[] = [];
    const table = this.#table;
    for (let place = this.#start(bits); table[place + 1] !== 0; place = (place + 2) % table.length)
      if (table[place] === bits) found.push(table[place + 1]! - 1);
    return found;
  }

  add(item: Pick<AnchorItem, 'kind' | 'key'>, index: number): void {
    if (4 * this.#used >= this.#table.length) this.#grow();
    this.#put(bitsOf(item), index);
    this.#used++;
  }

  #put(bits: number, index: number): void {
    const table = this.#table;
    let place = this.#start(bits);
    while (table[place + 1] !== 0) place = (place + 2) % table.length;
    table[place] = bits;
    table[place + 1] = index + 1;
  }

  #start(bits: number): number {
    return 2 * (bits % (this.#table.length / 2));
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(2 * old.length);
    for (let place = 0; place < old.length; place += 2)
      if (old[place + 1] !== 0) this.#put(old[place]!, old[place + 1]! - 1);
  }
}

function bitsOf({ kind, key }: Pick<AnchorItem, 'kind' | 'key'>): number {
  const hash = sha256(utf8Encode(`${kind} ${key}`));
  return (hash[0]! | (hash[1]! << 8) | (hash[2]! << 16) | (hash[3]! << 24)) >>> 0;
}
