/** Keys from the root down; numbers are places in arrays. */
export type KeyPath = readonly (string | number)[];

/** Lines, from 1, at which keys and tables of a TOML text first stand. */
export interface Positions {
  /** The line of the path, else of the nearest enclosing table that stands in the text, else 1. */
  lineOf(path: KeyPath): number;
  has(path: KeyPath): boolean;
}

/**
 * Finds where keys stand in a TOML text that a parser has accepted, since the parser keeps no positions.
 * On a text it was not promised to understand it may find less, but it ends and does not throw. Nothing is looked for
 * before it is asked after: most configurations have no problem to point at.
 */
export function findPositions(toml: string): Positions {
  let found: ReadonlyMap<string, number> | undefined;
  const lines = (): ReadonlyMap<string, number> => {
    found ??= new Scanner(toml).scan();
    return found;
  };
  return {
    has: (path) => lines().has(JSON.stringify(path)),
    lineOf: (path) => {
      for (let length = path.length; length > 0; length--) {
        const line = lines().get(JSON.stringify(path.slice(0, length)));
        if (line !== undefined) return line;
      }
      return 1;
    },
  };
}

/** Deeper keys are never asked for, and noting them would let a hostile text cost its length squared. */
const MAX_DEPTH = 6;
const BARE_END = /[\s=.#,[\]{}"']/;
const VALUE_END = /[\s,\]}#]/;

class Scanner {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** Tables written as `[[…]]`: how many so far. */
  readonly #arrays = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): ReadonlyMap<string, number> {
    let table: KeyPath = [];
    for (this.#blank(); this.#at < this.#text.length; this.#blank()) {
      const start = this.#at;
      if (this.#peek() === '[') table = this.#header();
      else this.#pair(table);
      if (this.#at === start) this.#at++;
    }
    return this.#lines;
  }

  #header(): KeyPath {
    const line = this.#line;
    const isArray = this.#text.startsWith('[[', this.#at);
    this.#at += isArray ? 2 : 1;
    const keys = this.#keys();
    while (this.#peek() === ']') this.#at++;
    let parent: KeyPath = [];
    for (const key of keys.slice(0, -1)) parent = this.#enter([...parent, key], line);
    const full = [...parent, ...keys.slice(-1)];
    if (isArray) this.#arrays.set(JSON.stringify(full), (this.#arrays.get(JSON.stringify(full)) ?? 0) + 1);
    return this.#enter(full, line);
  }

  /** Notes the path, and steps into the last table where it is an array of them. */
  #enter(path: KeyPath, line: number): KeyPath {
    this.#note(path, line);
    const count = this.#arrays.get(JSON.stringify(path));
    if (count === undefined) return path;
    const element = [...path, count - 1];
    this.#note(element, line);
    return element;
  }

  #pair(table: KeyPath): void {
    const line = this.#line;
    const keys = this.#keys();
    if (keys.length === 0) return;
    for (let length = 1; length <= keys.length; length++)
      this.#note([...table, ...keys.slice(0, length)], line);
    this.#spaces();
    if (this.#peek() === '=') this.#at++;
    this.#spaces();
    this.#value([...table, ...keys]);
  }

  #value(path: KeyPath): void {
    const first = this.#peek();
    if (first === '[') this.#items(']', (index) => this.#element([...path, index]));
    else if (first === '{') this.#items('}', () => this.#pair(path));
    else if (first === '"' || first === "'") this.#string(first);
    else while (this.#at < this.#text.length && !VALUE_END.test(this.#peek())) this.#at++;
  }

  #element(path: KeyPath): void {
    this.#note(path, this.#line);
    this.#value(path);
  }

  #items(close: string, item: (index: number) => void): void {
    this.#at++;
    for (let index = 0; ; index++) {
      this.#blank();
      while (this.#peek() === ',') {
        this.#at++;
        this.#blank();
      }
      if (this.#at >= this.#text.length || this.#peek() === close) break;
      const start = this.#at;
      item(index);
      if (this.#at === start) this.#at++;
    }
    this.#at++;
  }

  #keys(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#spaces();
      const start = this.#at;
      const quote = this.#peek();
      if (quote === '"' || quote === "'") this.#string(quote);
      else while (this.#at < this.#text.length && !BARE_END.test(this.#peek())) this.#at++;
      if (this.#at === start) return keys;
      if (keys.length < MAX_DEPTH) keys.push(unquote(this.#text.slice(start, this.#at)));
      this.#spaces();
      if (this.#peek() !== '.') return keys;
      this.#at++;
    }
  }

  #string(quote: string): void {
    const triple = quote.repeat(3);
    const close = this.#text.startsWith(triple, this.#at) ? triple : quote;
    this.#at += close.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(close, this.#at)) {
      if (quote === '"' && this.#peek() === '\\') this.#at++;
      if (this.#peek() === '\n') this.#line++;
      this.#at++;
    }
    this.#at += close.length;
    // A multi-line string may end in up to two quotes of its own before the closing three.
    while (close === triple && this.#peek() === quote) this.#at++;
  }

  #spaces(): void {
    while (this.#peek() === ' ' || this.#peek() === '\t') this.#at++;
  }

  #blank(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#peek();
      if (char === '\n') this.#line++;
      else if (char === '#') this.#comment();
      else if (char !== ' ' && char !== '\t' && char !== '\r') return;
    }
  }

  /** Leaves the scanner on the last character before the line's end. */
  #comment(): void {
    const end = this.#text.indexOf('\n', this.#at);
    this.#at = (end < 0 ? this.#text.length : end) - 1;
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  #note(path: KeyPath, line: number): void {
    if (path.length > MAX_DEPTH) return;
    const key = JSON.stringify(path);
    if (!this.#lines.has(key)) this.#lines.set(key, line);
  }
}

function unquote(key: string): string {
  if (key.startsWith("'")) return key.slice(1, -1);
  if (!key.startsWith('"')) return key;
  try {
    return JSON.parse(key) as string;
  } catch {
    return key.slice(1, -1);
  }
}
