import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { compareUtf8 } from '../core/bytes.ts';
import { type ErrorKind, isHoldfastError } from '../core/errors.ts';
import type { RecordsContext } from './context.ts';
import { buildNameIndex } from './name-build.ts';
import { type IndexState, nameIndexOf } from './name-index.ts';
import { listedAs, type NamedObject, type Page } from './name-page.ts';
import { type DamagedName, MAX_NAME_BYTES, NAMES_TABLE, NameOpener } from './name-record.ts';

/** Stands for all names that begin with it; it ends with the delimiter. */
export interface NamePrefix {
  readonly prefix: string;
}

export interface ListObjectsOptions extends AbortOptions {
  /** Only names that begin with it. */
  readonly prefix?: string | undefined;
  /** Names that have it after the prefix come as one {@link NamePrefix}, up to and with its first occurrence. */
  readonly delimiter?: string | undefined;
  /** Only what comes later in the order; a prefix that was listed stands for all names under it. */
  readonly after?: string | undefined;
  /** As many names and prefixes at the most. */
  readonly limit?: number | undefined;
  /** Told of each record of a name that cannot be read, and that is therefore in no listing. */
  readonly onDamaged?: ((damaged: DamagedName) => void) | undefined;
}

/**
 * Names that stand for something, in the order of their UTF-8 bytes, each once. Of names that are written or removed
 * meanwhile it may see either state. Costs what it returns: nothing is read of names before `after` or beside `prefix`,
 * nor of those under a prefix that is listed, but once, when the state has no ordered index yet.
 */
export async function* listNames(
  context: RecordsContext,
  options: ListObjectsOptions = {},
): AsyncGenerator<NamedObject | NamePrefix> {
  const { prefix = '', delimiter = '', after, limit = Number.POSITIVE_INFINITY, signal } = options;
  const groupOf = (name: string): string | undefined => {
    const at = delimiter === '' ? -1 : name.indexOf(delimiter, prefix.length);
    return at < 0 ? undefined : name.slice(0, at + delimiter.length);
  };
  const names = new NamesInOrder(context, options);
  let from = prefix;
  if (after !== undefined) {
    const isGroup = after.startsWith(prefix) && groupOf(after) === after;
    from = later(from, isGroup ? pastAll(after) : past(after));
  }
  for (let left = limit; left > 0; ) {
    throwIfAborted(signal, 'list');
    const some = await names.from(from);
    await names.tellDamaged();
    for (const listed of some.names) {
      if (left <= 0) return;
      if (compareUtf8(listed.name, from) < 0) continue;
      if (!listed.name.startsWith(prefix)) return;
      const group = groupOf(listed.name);
      from = group === undefined ? past(listed.name) : pastAll(group);
      left--;
      yield group === undefined ? listed : { prefix: group };
    }
    if (some.high === undefined) return;
    from = later(from, some.high);
  }
}

/** The first text after a name: no name holds a control character. */
const past = (name: string): string => `${name}\0`;
/** No name is longer, so none that begins with a text sorts after the text and these. */
const LAST_CHARACTERS = '\u{10ffff}'.repeat(MAX_NAME_BYTES / 4);
const pastAll = (prefix: string): string => prefix + LAST_CHARACTERS;
const later = (a: string, b: string): string => (compareUtf8(a, b) >= 0 ? a : b);

/** Some names, and the first text that is not covered by them; undefined: they are the last. */
type SomeNames = Pick<Page, 'names' | 'high'>;

/** What may be wrong with the index, or in the way of making it, when the names themselves can be read. */
const INDEX_FAILURES: readonly ErrorKind[] = ['Corrupt', 'QuotaExceeded', 'PermissionDenied', 'Conflict'];
const SCANNED = 256;

/** Names by the index, which is made where it is missing; by looking at all of them where it cannot be. */
class NamesInOrder {
  readonly #context: RecordsContext;
  readonly #options: AbortOptions;
  readonly #above = new Map<string, Page>();
  #state: IndexState | undefined;
  #left = 2;
  readonly #onDamaged: ListObjectsOptions['onDamaged'];
  /** Name keys of which it was told. */
  readonly #told = new Set<string>();
  #asked = false;

  constructor(context: RecordsContext, { signal, onDamaged }: ListObjectsOptions) {
    this.#context = context;
    this.#options = { signal };
    this.#onDamaged = onDamaged;
  }

  /** Tells of what the index does not hold because it could not be read, and still cannot be. */
  async tellDamaged(): Promise<void> {
    if (this.#asked || this.#onDamaged === undefined || this.#state === undefined) return;
    this.#asked = true;
    const names = this.#context.engine.table(NAMES_TABLE);
    for await (const { nameKey } of nameIndexOf(this.#context).damaged(this.#state, this.#options)) {
      const opener = new NameOpener(this.#context);
      try {
        const sealed = await names.get(nameKey, this.#options);
        if (sealed !== undefined) opener.open(sealed, nameKey);
      } catch (error) {
        if (!isHoldfastError(error, 'Corrupt')) throw error;
        opener.onDamaged(nameKey);
      }
      this.#tell(opener);
    }
  }

  #tell({ damaged }: NameOpener): void {
    for (const one of damaged) {
      if (!this.#told.has(one.nameKey)) this.#onDamaged?.(one);
      this.#told.add(one.nameKey);
    }
  }

  /** Some of the names from a text on. */
  async from(text: string): Promise<SomeNames> {
    while (this.#left > 0) {
      try {
        this.#state ??= await buildNameIndex(this.#context, this.#options);
        const page = await nameIndexOf(this.#context).leafAt(this.#state, text, this.#above, this.#options);
        if (page !== undefined) return page;
      } catch (error) {
        if (!INDEX_FAILURES.some((kind) => isHoldfastError(error, kind))) throw error;
      }
      this.#left--;
      await this.#giveUp();
    }
    return this.#scan(text);
  }

  /** Whoever has another key than the names were sealed with has no say in what is damaged. */
  async #giveUp(): Promise<void> {
    const state = this.#state;
    this.#state = undefined;
    this.#above.clear();
    if (state === undefined) return;
    const opener = new NameOpener(this.#context);
    const some = { ...this.#options, limit: SCANNED, onDamaged: opener.onDamaged };
    for await (const [key, sealed] of this.#context.engine.table(NAMES_TABLE).entries(some)) {
      if (opener.open(sealed, key) !== undefined) break;
    }
    opener.end();
    await nameIndexOf(this.#context)
      .drop(state)
      .catch(() => {});
  }

  /** Every name is opened, and the first ones kept. */
  async #scan(text: string): Promise<SomeNames> {
    let found: NamedObject[] = [];
    const keepFirst = (): void => {
      found = found.sort((a, b) => compareUtf8(a.name, b.name)).slice(0, SCANNED);
    };
    const opener = new NameOpener(this.#context);
    const all = { ...this.#options, onDamaged: opener.onDamaged };
    for await (const [key, sealed] of this.#context.engine.table(NAMES_TABLE).entries(all)) {
      const pointer = opener.open(sealed, key);
      const listed = pointer && listedAs(pointer);
      if (listed === undefined || compareUtf8(listed.name, text) < 0) continue;
      found.push(listed);
      if (found.length >= 2 * SCANNED) keepFirst();
    }
    opener.end();
    this.#tell(opener);
    keepFirst();
    const last = found[SCANNED - 1];
    return { names: found, high: last && past(last.name) };
  }
}
