import { compareUtf8, toHex } from '../core/bytes.ts';
import {
  MAX_PAGE_ENTRIES,
  MIN_PAGE_ENTRIES,
  type NamedObject,
  PAGE_ID_BYTES,
  type Page,
  type PageLink,
} from './name-page.ts';

export const ROOT_PAGE = 'root';
export const EMPTY_TREE: Page = { level: 0, low: '', high: undefined, names: [], pages: [] };
const MAX_DEPTH = 16;

/** A page, undefined where there is none. */
export type LoadPage = (id: string) => Promise<Page | undefined>;

/** The pages from the root to the one of level 0 that covers a text; undefined where they do not fit together. */
async function pathTo(text: string, load: LoadPage): Promise<Step[] | undefined> {
  const path: Step[] = [];
  for (let id = ROOT_PAGE; path.length < MAX_DEPTH; ) {
    const page = await load(id);
    const above = path.at(-1)?.page;
    if (page === undefined || !covers(page, text)) return undefined;
    if (above !== undefined && page.level !== above.level - 1) return undefined;
    path.push({ id, page });
    if (page.level === 0) return path;
    const next = page.pages.findLast(({ low }) => compareUtf8(low, text) <= 0);
    if (next === undefined) return undefined;
    id = next.id;
  }
  return undefined;
}

interface Step {
  readonly id: string;
  readonly page: Page;
}

const covers = ({ low, high }: Page, text: string): boolean =>
  compareUtf8(low, text) <= 0 && (high === undefined || compareUtf8(text, high) < 0);

/** The page of names that covers a text; undefined where the pages on the way do not fit together. */
export async function leafAt(text: string, load: LoadPage): Promise<Page | undefined> {
  return (await pathTo(text, load))?.at(-1)?.page;
}

/** Changes to a tree, gathered so that they are written in one step. */
export class TreeChange {
  /** Pages as they are to be; undefined for those that go. */
  readonly changed: Map<string, Page | undefined> = new Map();
  /** Pages that stay as they are, and that must be what they were all the same: they said that there is nothing to do. */
  readonly relied: Set<string> = new Set();
  readonly #load: LoadPage;
  readonly #random: (length: number) => Uint8Array;

  /** @param load the pages as they are. */
  constructor(load: LoadPage, random: (length: number) => Uint8Array) {
    this.#load = (id) => (this.changed.has(id) ? Promise.resolve(this.changed.get(id)) : load(id));
    this.#random = random;
  }

  /**
   * Sets what is listed of a name; undefined: nothing.
   * @returns false when the pages do not fit together; the change is of no use then.
   */
  async set(name: string, listed: NamedObject | undefined): Promise<boolean> {
    const path = await pathTo(name, this.#load);
    const leaf = path?.pop();
    if (path === undefined || leaf === undefined) return false;
    const known = leaf.page.names.find((entry) => entry.name === name);
    const names = alike(known, listed)
      ? undefined
      : replaced(leaf.page.names, name, listed, (entry) => entry.name);
    if (names === undefined) this.relied.add(leaf.id);
    else await this.#replace(path, leaf.id, { ...leaf.page, names });
    return true;
  }

  /** Puts a page in place of another, and mends those above as long as one gets too large or too small. */
  async #replace(path: Step[], itsId: string, itsPage: Page): Promise<void> {
    let [id, page] = [itsId, itsPage];
    for (;;) {
      const above = path.pop();
      if (sizeOf(page) > MAX_PAGE_ENTRIES) {
        const [left, right] = halves(page);
        if (above === undefined) return this.#raise(left, right);
        this.changed.set(id, left);
        const link = { low: right.low, id: this.#add(right) };
        page = { ...above.page, pages: withLink(above.page.pages, link) };
      } else {
        const united =
          above && sizeOf(page) < MIN_PAGE_ENTRIES ? await this.#unite(above.page, id, page) : undefined;
        if (united === undefined) {
          this.changed.set(id, page);
          return above === undefined ? this.#lower(page) : undefined;
        }
        page = united;
      }
      id = above!.id;
    }
  }

  /** The root has become two pages. */
  #raise(left: Page, right: Page): void {
    const pages = [left, right].map((page) => ({ low: page.low, id: this.#add(page) }));
    this.changed.set(ROOT_PAGE, { ...EMPTY_TREE, level: left.level + 1, pages });
  }

  /** A root that has one page below it becomes that page. */
  async #lower(root: Page): Promise<void> {
    for (let page = root; page.pages.length === 1; ) {
      const { id } = page.pages[0]!;
      const below = await this.#load(id);
      if (below === undefined || below.level !== page.level - 1) return;
      this.changed.set(id, undefined);
      this.changed.set(ROOT_PAGE, below);
      page = below;
    }
  }

  /** @returns the page above as it is after one below was united with one beside it; undefined if none has room. */
  async #unite(above: Page, id: string, page: Page): Promise<Page | undefined> {
    const at = above.pages.findIndex((link) => link.id === id);
    for (const [left, right] of [
      [at - 1, at],
      [at, at + 1],
    ] as const) {
      const [a, b] = [above.pages[left], above.pages[right]];
      if (a === undefined || b === undefined) continue;
      const first = a.id === id ? page : await this.#load(a.id);
      const second = b.id === id ? page : await this.#load(b.id);
      if (first === undefined || second === undefined || first.high !== second.low) continue;
      if (first.level !== second.level) continue;
      const size = sizeOf(first) + sizeOf(second);
      if (size > (3 * MAX_PAGE_ENTRIES) / 4 && sizeOf(page) > 0) continue;
      this.changed.set(a.id, {
        ...first,
        high: second.high,
        names: [...first.names, ...second.names],
        pages: [...first.pages, ...second.pages],
      });
      this.changed.set(b.id, undefined);
      return { ...above, pages: above.pages.filter((link) => link.id !== b.id) };
    }
    return undefined;
  }

  #add(page: Page): string {
    const id = toHex(this.#random(PAGE_ID_BYTES));
    this.changed.set(id, page);
    return id;
  }
}

/** Whether two say the same of a name. */
export function alike(a: NamedObject | undefined, b: NamedObject | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const same = a.version === b.version && a.manifest === b.manifest;
  return same && a.size === b.size && a.createdMs === b.createdMs;
}

const sizeOf = ({ level, names, pages }: Page): number => (level === 0 ? names : pages).length;

function halves(page: Page): [Page, Page] {
  const at = Math.ceil(sizeOf(page) / 2);
  const low = page.level === 0 ? page.names[at]!.name : page.pages[at]!.low;
  return [
    { ...page, high: low, names: page.names.slice(0, at), pages: page.pages.slice(0, at) },
    { ...page, low, names: page.names.slice(at), pages: page.pages.slice(at) },
  ];
}

const withLink = (pages: readonly PageLink[], link: PageLink): readonly PageLink[] =>
  replaced(pages, link.low, link, ({ low }) => low);

/** A sorted list with one entry set, or without it. */
function replaced<T>(
  sorted: readonly T[],
  key: string,
  entry: T | undefined,
  keyOf: (entry: T) => string,
): readonly T[] {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareUtf8(keyOf(sorted[middle]!), key) < 0) low = middle + 1;
    else high = middle;
  }
  const there = low < sorted.length && keyOf(sorted[low]!) === key;
  const rest = sorted.slice(there ? low + 1 : low);
  return [...sorted.slice(0, low), ...(entry === undefined ? [] : [entry]), ...rest];
}
