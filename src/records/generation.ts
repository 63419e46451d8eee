import { type AbortOptions, abortable, linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import { timeoutSignal } from '../core/clock.ts';
import { asHoldfastError, isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { POINTER_WRITES } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import type { Engine } from '../engine/engine.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import { spread } from '../object/rendezvous.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import {
  engineGenerationOf,
  type GenerationRecord,
  type Head,
  historyOf,
  knows,
} from './generation-record.ts';
import {
  type GenerationSlot,
  NOTHING_WRITTEN,
  openSlot,
  openSlotUnlessDamaged,
  RESERVED_NAME,
  sealSlot,
  told,
} from './generation-slot.ts';
import { readIfIntact, withSlots } from './slots.ts';
import { choreNoted, UPKEEP_TABLE } from './usage.ts';

/** Whether this state is the latest, as far as the providers tell. Only a confirmed one may destroy anything. */
export type Standing =
  | { readonly state: 'confirmed' }
  /** Too few providers said what they know. */
  | { readonly state: 'unconfirmed'; readonly why: readonly string[] }
  /** A provider knows of changes that this state has not seen: it was restored, or another home has the same key. */
  | { readonly state: 'behind'; readonly unknown: readonly Head[] };

export interface Published {
  /** A majority knows of it now. */
  readonly reached: boolean;
  /** Journals that another state condemned, as far as those told knew: all there are, if a majority was reached. */
  readonly condemned: ReadonlySet<string>;
}

export interface Generation {
  /**
   * What was heard of the providers within the last {@link FRESH_MS}, else asks a majority of those that keep slots. Never
   * rejects but for an abort.
   */
  standing(options?: AbortOptions): Promise<Standing>;
  /** Tells a majority of the providers how far this state is. Where too few take it in time, that is due. */
  publish(): Promise<Published>;
  /** Does so where it is due. */
  publishIfDue(options?: AbortOptions): Promise<void>;
  /**
   * Tells a majority that what these journals' puts stored is about to be deleted. A copy of this state may run one of them:
   * it learns of it when it publishes, or has published before.
   * @returns what the same providers knew before; nothing may be deleted unless that is confirmed.
   */
  condemn(journals: readonly string[]): Promise<Standing>;
  /**
   * What all know now that answer in time; undefined where they are no majority. Ask before reading what the heads stand
   * for.
   */
  heads(options?: AbortOptions): Promise<readonly Head[] | undefined>;
  /** The state has been brought up to all of these: it begins an incarnation that follows from them, and says so. */
  adopt(heads: readonly Head[]): Promise<void>;
}

/** @internal Tests wait for it. */
export const FRESH_MS = 10_000;
/** All that is asked or told takes no longer than this. */
const AT_MOST_MS = 10_000;
/** Another writer may come between so often. */
const MAX_ROUNDS = 8;
/** In the table of chores: a change of which no majority was told. */
const DUE = 'generation';

const generations = new WeakMap<Engine, WeakMap<VaultKeys, SlotGeneration>>();

/** The one of a state, as this process sees it. */
export function generationOf(context: RecordsContext): Generation {
  const { engine, keys } = context;
  const byKeys = entryOf(generations, engine, () => new WeakMap());
  return entryOf(byKeys, keys, () => new SlotGeneration(context));
}

interface Heard {
  readonly atMs: number;
  /** Of the engine by then. */
  readonly history: number;
  readonly heads: readonly Head[];
  /** Empty when a majority answered. */
  readonly why: readonly string[];
}

class SlotGeneration implements Generation {
  readonly #context: RecordsContext;
  #heard: Heard | undefined;
  #hearing: Promise<Heard> | undefined;
  #publishing: Promise<Published> | undefined;
  #next: Promise<Published> | undefined;

  constructor(context: RecordsContext) {
    this.#context = context;
  }

  async standing({ signal }: AbortOptions = {}): Promise<Standing> {
    const heard = await this.#recent(signal);
    const standing = await this.#judge(heard, { signal });
    engineGenerationOf(this.#context.engine).setConfirmed(standing.state === 'confirmed', heard.history);
    return standing;
  }

  /** One at a time: those who come while it runs share the next. */
  publish(): Promise<Published> {
    if (this.#publishing === undefined) return this.#begin();
    this.#next ??= this.#publishing.then(() => this.#begin());
    return this.#next;
  }

  async heads({ signal }: AbortOptions = {}): Promise<readonly Head[] | undefined> {
    const heard = await this.#hear(signal, 'all');
    return heard.why.length === 0 ? heard.heads : undefined;
  }

  async adopt(heads: readonly Head[]): Promise<void> {
    const engine = engineGenerationOf(this.#context.engine);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (await engine.adopt(heads, this.#context.random)) break;
    }
    await this.publish();
    this.#heard = undefined;
  }

  /** The engine is read after the slots: what they tell of this state's own changes, it knows by now. */
  async #judge({ heads, why }: Heard, options: AbortOptions = {}): Promise<Standing> {
    const engine = engineGenerationOf(this.#context.engine);
    const incomplete = await engine.isIncomplete(options);
    const record = await engine.read(options);
    const unknown = incomplete ? heads : heads.filter((head) => !knows(record, head));
    if (incomplete || unknown.length > 0) return { state: 'behind', unknown };
    return why.length > 0 ? { state: 'unconfirmed', why } : { state: 'confirmed' };
  }

  async #recent(signal: AbortSignal | undefined): Promise<Heard> {
    const { clock, engine } = this.#context;
    const heard = this.#heard;
    if (heard?.history === historyOf(engine) && clock.monotonic() - heard.atMs < FRESH_MS) return heard;
    this.#hearing ??= this.#hear(undefined).finally(() => {
      this.#hearing = undefined;
    });
    return abortable(this.#hearing, signal, 'asking for the generation of the state');
  }

  async #hear(signal: AbortSignal | undefined, whom: 'majority' | 'all' = 'majority'): Promise<Heard> {
    const atMs = this.#context.clock.monotonic();
    const history = historyOf(this.#context.engine);
    const heads: Head[] = [];
    const ask = async ({ adapter }: Provider, its: AbortSignal): Promise<void> => {
      const there = await adapter.readSlot(this.#slot, { signal: its });
      heads.push(...(there === undefined ? [] : openSlot(there.bytes, this.#context.keys).heads));
    };
    const why = await this.#askMajority(signal, ask, whom);
    this.#heard = { atMs, history, heads, why };
    return this.#heard;
  }

  async publishIfDue(options: AbortOptions = {}): Promise<void> {
    if ((await choreNoted(this.#context, DUE, options)) !== undefined) await this.publish();
  }

  async condemn(journals: readonly string[]): Promise<Standing> {
    const engine = engineGenerationOf(this.#context.engine);
    const atMs = this.#context.clock.monotonic();
    const history = historyOf(this.#context.engine);
    const { met, why } = await this.#tell(await engine.read(), journals);
    this.#heard = { atMs, history, heads: met.flatMap(({ heads }) => heads), why };
    return this.#judge(this.#heard);
  }

  #begin(): Promise<Published> {
    this.#next = undefined;
    this.#publishing = this.#publish().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  async #publish(): Promise<Published> {
    const { engine } = this.#context;
    const noted = await choreNoted(this.#context, DUE);
    const record = await engineGenerationOf(engine).read();
    if (record === undefined) return { reached: true, condemned: new Set() };
    const { met, why } = await this.#tell(record, []);
    // A write has read: what others wrote meanwhile is known at once.
    const heads = met.flatMap((slot) => slot.heads);
    if (this.#heard !== undefined) this.#heard = { ...this.#heard, heads: [...this.#heard.heads, ...heads] };
    await this.#note(why.length > 0, noted);
    return { reached: why.length === 0, condemned: new Set(met.flatMap(({ condemned }) => condemned)) };
  }

  /** Best effort: the change itself is durable, and the next one is told with it. */
  async #note(isDue: boolean, noted: Uint8Array | undefined): Promise<void> {
    if (isDue === (noted !== undefined)) return;
    const { engine, random } = this.#context;
    const next = isDue ? random(8) : undefined;
    await engine
      .table(UPKEEP_TABLE)
      .compareAndSet(DUE, noted, next)
      .catch(() => false);
  }

  /** @returns what the providers held that have been told, and why those were no majority; empty when they were. */
  async #tell(
    record: GenerationRecord | undefined,
    condemned: readonly string[],
  ): Promise<{ readonly met: readonly GenerationSlot[]; readonly why: readonly string[] }> {
    const met: GenerationSlot[] = [];
    const why = await this.#askMajority(undefined, async ({ adapter }, signal) => {
      met.push(await this.#write(adapter, record, condemned, signal));
    });
    return { met, why };
  }

  async #write(
    adapter: Provider['adapter'],
    record: GenerationRecord | undefined,
    condemned: readonly string[],
    signal: AbortSignal,
  ): Promise<GenerationSlot> {
    const { keys, random } = this.#context;
    for (let round = 0; ; round++) {
      const there = await readIfIntact(adapter, this.#slot, { signal });
      const held = there === undefined ? NOTHING_WRITTEN : openSlotUnlessDamaged(there.bytes, keys);
      const next = told(held, record, condemned);
      if (next === undefined) return held;
      try {
        await adapter.writeSlot(this.#slot, sealSlot(next, keys, random), there?.version, { signal });
        return held;
      } catch (error) {
        if (!isHoldfastError(error, 'Conflict') || round === MAX_ROUNDS) throw error;
      }
    }
  }

  /** @param whom `all`: those that come after the majority too. @returns why it was no majority; empty when it was. */
  async #askMajority(
    outer: AbortSignal | undefined,
    ask: (provider: Provider, signal: AbortSignal) => Promise<void>,
    whom: 'majority' | 'all' = 'majority',
  ): Promise<string[]> {
    const { clock, directory } = this.#context;
    const able = withSlots(directory.all());
    const needed = able.length === 0 ? 0 : Math.floor(able.length / 2) + 1;
    const order = spread(this.#context, this.#slot, able);
    const queue = [
      ...order.filter(({ id }) => directory.isResponsive(id)),
      ...order.filter(({ id }) => !directory.isResponsive(id)),
    ];
    const why: string[] = [];
    const until = timeoutSignal(clock, AT_MOST_MS);
    const all = linkedAbort(outer === undefined ? until : AbortSignal.any([outer, until]), 'the generation');
    const laggards = new Stragglers(clock, POINTER_WRITES);
    let done = 0;
    const fill = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !all.signal.aborted; next = queue.shift()) {
        const { id } = next;
        const turn = laggards.begin(all.signal, 'the generation', () => directory.late(id));
        const started = clock.monotonic();
        try {
          await abortable(ask(next, turn.signal), turn.signal);
          turn.progressed(clock.monotonic() - started);
          directory.heard(id);
          done++;
          return;
        } catch (error) {
          why.push(`${id}: ${turn.late ? 'it did not answer in time' : asHoldfastError(error).message}`);
        } finally {
          turn.end();
        }
      }
    };
    try {
      await Promise.all(Array.from({ length: whom === 'all' ? able.length : needed }, fill));
    } finally {
      laggards.close();
      all.abort(NO_LONGER_NEEDED);
      all.dispose();
    }
    return done >= needed ? [] : why;
  }

  get #slot(): string {
    return this.#context.keys.slotName(RESERVED_NAME);
  }
}
