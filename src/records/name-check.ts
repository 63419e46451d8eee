import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { RecordsContext } from './context.ts';
import { ALL_BUILT, type IndexState, nameIndexOf } from './name-index.ts';
import { listedAs, type NamedObject, type Page } from './name-page.ts';
import { type DamagedName, NAMES_TABLE, NameOpener } from './name-record.ts';
import { alike } from './name-tree.ts';

/** Names looked at in one run, and as many entries of the index at most. */
const LOOKED_AT = 64;

export interface NameCheck {
  readonly damaged: readonly DamagedName[];
  /** The index said something else than the names do, and is made anew. */
  readonly stale: boolean;
}

/**
 * Compares a few names, from a random one on, with the ordered index, and a page of the index with the names. An index that
 * does not fit is given up: it is made anew of the names. Its work is bounded, however many names there are.
 */
export async function checkNames(context: RecordsContext, options: AbortOptions = {}): Promise<NameCheck> {
  const index = nameIndexOf(context);
  const opener = new NameOpener(context);
  const state = await index.state(options);
  const check = new Check(context, state?.built === ALL_BUILT ? state : undefined, opener, options);
  const from = toHex(context.random(2));
  const range = { ...options, gte: from, limit: LOOKED_AT, onDamaged: opener.onDamaged };
  let looked = 0;
  for await (const [nameKey] of context.engine.table(NAMES_TABLE).entries(range)) {
    looked++;
    if (!(await check.agrees(nameKey))) return { damaged: opener.damaged, stale: await check.giveUp() };
  }
  // From the first name on, where too few come after the random one.
  const rest = { ...range, gte: '', lt: from, limit: LOOKED_AT - looked };
  for await (const [nameKey] of context.engine.table(NAMES_TABLE).entries(rest)) {
    if (!(await check.agrees(nameKey))) return { damaged: opener.damaged, stale: await check.giveUp() };
  }
  const stale = !(await check.pageAgrees()) && (await check.giveUp());
  return { damaged: opener.damaged, stale };
}

class Check {
  readonly #context: RecordsContext;
  readonly #state: IndexState | undefined;
  readonly #opener: NameOpener;
  readonly #options: AbortOptions;
  #page: Page | undefined;

  constructor(
    context: RecordsContext,
    state: IndexState | undefined,
    opener: NameOpener,
    options: AbortOptions,
  ) {
    this.#context = context;
    this.#state = state;
    this.#opener = opener;
    this.#options = options;
  }

  /** Whether the index says of a name what the name's record says. One that changes meanwhile agrees. */
  async agrees(nameKey: string): Promise<boolean> {
    throwIfAborted(this.#options.signal, 'checking names');
    const before = await this.#sealed(nameKey);
    const pointer = before && this.#opener.open(before, nameKey);
    if (pointer === undefined || this.#state === undefined) return true;
    const listed = await this.#listed(pointer.name);
    if (listed !== 'damaged' && alike(listed, listedAs(pointer))) return true;
    const after = await this.#sealed(nameKey);
    return after === undefined || !equalBytes(before!, after);
  }

  /** Whether the names are there of which the page of the last name speaks. */
  async pageAgrees(): Promise<boolean> {
    for (const { name } of this.#page?.names.slice(0, LOOKED_AT) ?? []) {
      const nameKey = this.#context.keys.nameKey(name);
      if ((await this.#sealed(nameKey)) !== undefined) {
        if (!(await this.agrees(nameKey))) return false;
      } else if (!this.#opener.damaged.some((one) => one.nameKey === nameKey)) return false;
    }
    return true;
  }

  async giveUp(): Promise<boolean> {
    if (this.#state !== undefined) await nameIndexOf(this.#context).drop(this.#state);
    return this.#state !== undefined;
  }

  async #listed(name: string): Promise<NamedObject | undefined | 'damaged'> {
    try {
      const page = await nameIndexOf(this.#context).leafAt(this.#state!, name, new Map(), this.#options);
      this.#page = page;
      return page === undefined ? 'damaged' : page.names.find((entry) => entry.name === name);
    } catch (error) {
      if (isHoldfastError(error, 'Corrupt')) return 'damaged';
      throw error;
    }
  }

  async #sealed(nameKey: string): Promise<Uint8Array | undefined> {
    try {
      return await this.#context.engine.table(NAMES_TABLE).get(nameKey, this.#options);
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      if (!this.#opener.damaged.some((one) => one.nameKey === nameKey)) this.#opener.onDamaged(nameKey);
      return undefined;
    }
  }
}
