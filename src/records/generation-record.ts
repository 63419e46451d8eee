import type { AbortOptions } from '../core/abort.ts';
import { equalBytes, toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isCount } from '../core/counts.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import type { RandomBytes } from '../core/random.ts';
import type { BatchOp, Engine, Precondition } from '../engine/engine.ts';

/** A point in the history of a state: its line of writing, and how many changes that line had seen. */
export interface Head {
  /** 32 hex digits, drawn anew whenever it is not certain that the state is the latest. */
  readonly incarnation: string;
  readonly counter: number;
}

/** What the engine knows of its own history. */
export interface GenerationRecord extends Head {
  /** Where earlier incarnations ended, the latest first. */
  readonly ancestors: readonly Head[];
  /** How often it was recovered: journals of before may be of puts that went on, and became visible, elsewhere. */
  readonly recoveries: number;
}

/** What is true of the state as a whole. */
export const VAULT_TABLE = 'vault';
const KEY = 'generation';
/** There while the engine lacks writes that others follow, until the state was recovered. */
const INCOMPLETE_KEY = 'incomplete';
/** @see LevelEngineOptions.ifIncomplete */
export const INCOMPLETE: BatchOp = {
  table: VAULT_TABLE,
  key: INCOMPLETE_KEY,
  value: utf8Encode(JSON.stringify({ v: 1 })),
};
/** Ancestors that are kept. Of one that was dropped a slot may speak still: then the state counts as behind. */
const MAX_ANCESTORS = 64;
const INCARNATION_BYTES = 16;
/** Another process may raise it so often in between. */
const MAX_ROUNDS = 32;

interface Stored {
  readonly bytes: Uint8Array | undefined;
  /** Undefined: there is none, or it cannot be read. */
  readonly record: GenerationRecord | undefined;
  readonly damaged: boolean;
}

export const historyOf = (engine: Engine): number => engine.history?.() ?? 0;

/** The generation of one engine: raised in the same step as everything that is acknowledged. */
export class EngineGeneration {
  readonly #engine: Engine;
  /** History of the engine under which it was confirmed. */
  #confirmed: number | undefined;
  /** The incarnation that this run took because it was not confirmed, and under which history. */
  #own: { readonly incarnation: string; readonly history: number } | undefined;
  /** Told to the writers of pointers, and taken by the next change. */
  #drawn: string | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async read(options?: AbortOptions): Promise<GenerationRecord | undefined> {
    return (await this.#stored(options)).record;
  }

  /** Whether something is missing here that was written before what is there: then no counter says how far the state is. */
  async isIncomplete({ signal }: AbortOptions = {}): Promise<boolean> {
    try {
      return (await this.#engine.table(VAULT_TABLE).get(INCOMPLETE_KEY, { signal })) !== undefined;
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      return true;
    }
  }

  /**
   * While it is not, changes take a new incarnation, so that they cannot be mistaken for those that are missing here.
   * @param history of the engine, from before the providers were asked: another one is confirmed anew.
   */
  setConfirmed(confirmed: boolean, history: number): void {
    if (confirmed) this.#own = undefined;
    this.#confirmed = confirmed ? history : undefined;
  }

  /** The incarnation that the next change belongs to, for what is written in it. */
  async writer(random: RandomBytes): Promise<string> {
    const { record } = await this.#stored();
    if (record !== undefined && this.#goesOn(record)) return record.incarnation;
    this.#drawn ??= toHex(random(INCARNATION_BYTES));
    return this.#drawn;
  }

  /** To be written with a change. */
  async raised(random: RandomBytes): Promise<{ op: BatchOp; preconditions: readonly Precondition[] }> {
    const stored = await this.#stored();
    const { record } = stored;
    const goesOn = record !== undefined && this.#goesOn(record);
    return this.#next(
      stored,
      goesOn ? { ...record, counter: record.counter + 1 } : this.#anew(record, random),
    );
  }

  #goesOn({ incarnation }: GenerationRecord): boolean {
    const history = historyOf(this.#engine);
    if (this.#confirmed === history) return true;
    return incarnation === this.#own?.incarnation && this.#own.history === history;
  }

  /**
   * Writes with the counter raised, flushed.
   * @returns false when one of the preconditions does not hold; nothing is changed then.
   */
  async write(
    ops: readonly BatchOp[],
    preconditions: readonly Precondition[],
    random: RandomBytes,
  ): Promise<boolean> {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const raised = await this.raised(random);
      const all = [...preconditions, ...raised.preconditions];
      if (await this.#engine.batch([...ops, raised.op], all, { sync: true })) return true;
      if (!(await allHold(this.#engine, preconditions))) return false;
    }
    throw new HoldfastError('Conflict', 'too many writers of this state at once', {
      code: 'name_contended',
      status: 'temporary',
      hint: 'Nothing was changed; try again.',
    });
  }

  /** Begins an incarnation that follows from all of these. @returns false when another process changed it meanwhile. */
  async adopt(heads: readonly Head[], random: RandomBytes): Promise<boolean> {
    const stored = await this.#stored();
    const known = stored.record === undefined ? [] : [stored.record, ...stored.record.ancestors];
    const ancestors = latestOf([...heads, ...known]);
    const counter = Math.max(0, ...ancestors.map((head) => head.counter)) + 1;
    const incarnation = toHex(random(INCARNATION_BYTES));
    const recoveries = (stored.record?.recoveries ?? 0) + 1;
    const { op, preconditions } = this.#next(stored, { incarnation, counter, ancestors, recoveries });
    const whole = { table: VAULT_TABLE, key: INCOMPLETE_KEY, value: undefined };
    return this.#engine.batch([op, whole], preconditions, { sync: true });
  }

  #anew(record: GenerationRecord | undefined, random: RandomBytes): GenerationRecord {
    const incarnation = this.#drawn ?? toHex(random(INCARNATION_BYTES));
    this.#drawn = undefined;
    this.#own = { incarnation, history: historyOf(this.#engine) };
    const ancestors = record === undefined ? [] : latestOf([record, ...record.ancestors]);
    const { counter = 0, recoveries = 0 } = record ?? {};
    return { incarnation, counter: counter + 1, ancestors, recoveries };
  }

  #next(
    { bytes, damaged }: Stored,
    record: GenerationRecord,
  ): { op: BatchOp; preconditions: readonly Precondition[] } {
    const { incarnation, counter, recoveries } = record;
    const ancestors = record.ancestors.slice(0, MAX_ANCESTORS);
    const value = utf8Encode(JSON.stringify({ v: 1, counter, incarnation, ancestors, recoveries }));
    const at = { table: VAULT_TABLE, key: KEY };
    return { op: { ...at, value }, preconditions: damaged ? [] : [{ ...at, expected: bytes }] };
  }

  async #stored(options?: AbortOptions): Promise<Stored> {
    try {
      const bytes = await this.#engine.table(VAULT_TABLE).get(KEY, options);
      return { bytes, record: bytes && recordIn(bytes), damaged: false };
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      return { bytes: undefined, record: undefined, damaged: true };
    }
  }
}

/** Whether the engine holds what each of these expects. */
export async function allHold(engine: Engine, preconditions: readonly Precondition[]): Promise<boolean> {
  for (const { table, key, expected } of preconditions) {
    const now = await engine.table(table).get(key);
    if (now === undefined || expected === undefined ? now !== expected : !equalBytes(now, expected))
      return false;
  }
  return true;
}

const engines = new WeakMap<Engine, EngineGeneration>();

/** The one of an engine, as this process sees it. */
export const engineGenerationOf = (engine: Engine): EngineGeneration =>
  entryOf(engines, engine, () => new EngineGeneration(engine));

/** Whether the state has been recovered since it had been so often. */
export async function recoveredSince(engine: Engine, recoveries: number | undefined): Promise<boolean> {
  return ((await engineGenerationOf(engine).read())?.recoveries ?? 0) !== (recoveries ?? 0);
}

/** Whether a state with this record knows everything that had been written up to a head. */
export function knows(record: GenerationRecord | undefined, head: Head): boolean {
  if (record === undefined) return false;
  return [record, ...record.ancestors].some(
    ({ incarnation, counter }) => incarnation === head.incarnation && head.counter <= counter,
  );
}

/** Of each incarnation the highest, in the order in which they come. */
function latestOf(heads: readonly Head[]): Head[] {
  const latest = new Map<string, number>();
  for (const { incarnation, counter } of heads) {
    latest.set(incarnation, Math.max(counter, latest.get(incarnation) ?? 0));
  }
  return [...latest].map(([incarnation, counter]) => ({ incarnation, counter }));
}

function recordIn(bytes: Uint8Array): GenerationRecord | undefined {
  try {
    const {
      v,
      counter,
      incarnation,
      ancestors,
      recoveries = 0,
    } = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
    const whole =
      v === 1 &&
      isCount(recoveries) &&
      Array.isArray(ancestors) &&
      [{ counter, incarnation }, ...ancestors].every(isHead);
    return whole ? ({ counter, incarnation, ancestors, recoveries } as GenerationRecord) : undefined;
  } catch {
    return undefined;
  }
}

const isHead = (value: unknown): value is Head => {
  const { incarnation, counter } = (value ?? {}) as Partial<Head>;
  return /^[0-9a-f]{32}$/.test(String(incarnation)) && isCount(counter);
};
