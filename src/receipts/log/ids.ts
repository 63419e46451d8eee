/**
 * Ids of records, by their first bytes: a set that takes millions without a pause. It grows by another table eight times as
 * large and moves nothing, and so looks into five at most until there are millions. Ids are random where it matters, so their bytes are their hash.
 */
export class IdSet {
  /** Of the id at hand. */
  readonly #key: Uint32Array;
  readonly #tables: IdTable[] = [];
  #size = 0;

  /** @param bytes of an id that count: 8 or 16. */
  constructor(bytes: 8 | 16) {
    this.#key = new Uint32Array(bytes / 4);
  }

  get size(): number {
    return this.#size;
  }

  has(id: Uint8Array): boolean {
    this.#keyOf(id);
    return this.#hasKey();
  }

  /** @returns false where it is in there already. */
  add(id: Uint8Array): boolean {
    if (this.has(id)) return false;
    this.#insert();
    return true;
  }

  /** Adds what another set by as many bytes has. @param tables its own; they stay as they are. */
  join(tables: readonly IdTable[]): void {
    const words = this.#key.length;
    for (const { slots } of tables)
      for (let at = 0; at < slots.length; at += words) {
        if (slots[at] === 0) continue;
        for (let i = 0; i < words; i++) this.#key[i] = slots[at + i]!;
        if (!this.#hasKey()) this.#insert();
      }
  }

  /** The key at hand, which is not in there. */
  #insert(): void {
    const key = this.#key;
    let table = this.#tables.at(-1);
    // Three quarters full: longer searches would cost more than the memory.
    if (table === undefined || 4 * table.used >= 3 * table.capacity) {
      const capacity = table === undefined ? 1_024 : Math.min(8 * table.capacity, MAX_CAPACITY);
      table = { capacity, used: 0, slots: new Uint32Array(capacity * key.length) };
      this.#tables.push(table);
    }
    table.slots.set(key, placeIn(table, key));
    table.used++;
    this.#size++;
  }

  /** What another thread needs to have the same set: buffers that may be given away. */
  get tables(): readonly IdTable[] {
    return this.#tables;
  }

  /** Takes in the tables of a set by as many bytes, as they are. @param tables nobody else's any more. */
  adopt(tables: readonly IdTable[]): void {
    // What is added goes to the last, so that the largest has to be there.
    this.#tables.push(...tables);
    this.#tables.sort((a, b) => a.capacity - b.capacity);
    for (const { used } of tables) this.#size += used;
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

  #hasKey(): boolean {
    for (const table of this.#tables) if (table.slots[placeIn(table, this.#key)] !== 0) return true;
    return false;
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

export interface IdTable {
  /** A power of two. */
  readonly capacity: number;
  used: number;
  /** An id takes some words, of which the first is not 0. */
  readonly slots: Uint32Array;
}

const homeOf = (word: number, capacity: number): number => Math.imul(word, 0x9e3779b1) & (capacity - 1);

/** Where the key is, or else the free slot where it belongs. There is always one. */
function placeIn({ slots, capacity }: IdTable, key: Uint32Array): number {
  const words = key.length;
  const first = key[0]!;
  for (let slot = homeOf(first, capacity); ; slot = (slot + 1) & (capacity - 1)) {
    const at = slot * words;
    const found = slots[at];
    if (found === 0) return at;
    if (found !== first) continue;
    let i = 1;
    while (i < words && slots[at + i] === key[i]) i++;
    if (i === words) return at;
  }
}

/** Frees a slot, and puts those behind it again that were there only because it was taken. */
function removeAt(table: IdTable, place: number, words: number): void {
  const { slots, capacity } = table;
  slots.fill(0, place, place + words);
  for (
    let slot = (place / words + 1) & (capacity - 1);
    slots[slot * words] !== 0;
    slot = (slot + 1) & (capacity - 1)
  ) {
    const at = slot * words;
    const key = slots.slice(at, at + words);
    slots.fill(0, at, at + words);
    slots.set(key, placeIn(table, key));
  }
}
