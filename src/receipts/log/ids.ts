/**
 * Ids of records, by their first bytes: a set that takes millions without a pause. It grows by another table twice as
 * large and moves nothing. Ids are random where it matters, so their bytes are their hash.
 */
export class IdSet {
  /** Of the id at hand. */
  readonly #key: Uint32Array;
  readonly #tables: Table[] = [];
  #size = 0;

  /** @param bytes of an id that count: 8 or 16. */
  constructor(bytes: 8 | 16) {
    this.#key = new Uint32Array(bytes / 4);
  }

  get size(): number {
    return this.#size;
  }

  has(id: Uint8Array): boolean {
    const key = this.#keyOf(id);
    return this.#tables.some((table) => table.slots[placeIn(table, key)] !== 0);
  }

  /** @returns false where it is in there already. */
  add(id: Uint8Array): boolean {
    if (this.has(id)) return false;
    const key = this.#key;
    let table = this.#tables.at(-1);
    // Three quarters full: longer searches would cost more than the memory.
    if (table === undefined || 4 * table.used >= 3 * table.capacity) {
      const capacity = table === undefined ? 1_024 : Math.min(2 * table.capacity, MAX_CAPACITY);
      table = { capacity, used: 0, slots: new Uint32Array(capacity * key.length) };
      this.#tables.push(table);
    }
    table.slots.set(key, placeIn(table, key));
    table.used++;
    this.#size++;
    return true;
  }

  /** Takes back one that was added. */
  delete(id: Uint8Array): void {
    const key = this.#keyOf(id);
    for (const table of this.#tables) {
      const place = placeIn(table, key);
      if (table.slots[place] === 0) continue;
      removeAt(table, place, key.length);
      table.used--;
      this.#size--;
    }
  }

  #keyOf(id: Uint8Array): Uint32Array {
    const key = this.#key;
    for (let i = 0; i < key.length; i++)
      key[i] = id[4 * i]! | (id[4 * i + 1]! << 8) | (id[4 * i + 2]! << 16) | (id[4 * i + 3]! << 24);
    if (key[0] === 0) key[0] = 1;
    return key;
  }
}

/** 4 Mi ids: 32 or 64 MiB. */
const MAX_CAPACITY = 4 * 1024 ** 2;

interface Table {
  readonly capacity: number;
  used: number;
  /** An id takes some words, of which the first is not 0. */
  readonly slots: Uint32Array;
}

const homeOf = (word: number, capacity: number): number => (Math.imul(word, 0x9e3779b1) >>> 0) % capacity;

/** Where the key is, or else the free slot where it belongs. There is always one. */
function placeIn({ slots, capacity }: Table, key: Uint32Array): number {
  const words = key.length;
  for (let slot = homeOf(key[0]!, capacity); ; slot = (slot + 1) % capacity) {
    const at = slot * words;
    if (slots[at] === 0) return at;
    let same = true;
    for (let i = 0; i < words && same; i++) same = slots[at + i] === key[i];
    if (same) return at;
  }
}

/** Frees a slot, and puts those behind it again that were there only because it was taken. */
function removeAt(table: Table, place: number, words: number): void {
  const { slots, capacity } = table;
  slots.fill(0, place, place + words);
  for (let slot = (place / words + 1) % capacity; slots[slot * words] !== 0; slot = (slot + 1) % capacity) {
    const at = slot * words;
    const key = slots.slice(at, at + words);
    slots.fill(0, at, at + words);
    slots.set(key, placeIn(table, key));
  }
}
