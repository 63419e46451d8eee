import { type AbortOptions, abortable, linkedAbort, NO_LONGER_NEEDED } from '../core/abort.ts';
import { concatBytes, fromHex, toHex } from '../core/bytes.ts';
import { timeoutSignal } from '../core/clock.ts';
import { asHoldfastError, isHoldfastError } from '../core/errors.ts';
import { POINTER_WRITES } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import type { Engine } from '../engine/engine.ts';
import type { VaultKeys } from '../keys/derivation.ts';
import { seal, unseal } from '../keys/seal.ts';
import { decodeNode, encodeNode } from '../manifest/dag-cbor.ts';
import { Fields } from '../manifest/fields.ts';
import { NODE_VERSION } from '../manifest/limits.ts';
import { spread } from '../object/rendezvous.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import { engineGenerationOf, type GenerationRecord, type Head, knows } from './generation-record.ts';
import { readIfIntact } from './slots.ts';

/** Whether this state is the latest, as far as the providers tell. Only a confirmed one may destroy anything. */
export type Standing =
  | { readonly state: 'confirmed' }
  /** Too few providers said what they know. */
  | { readonly state: 'unconfirmed'; readonly why: readonly string[] }
  /** A provider knows of changes that this state has not seen: it was restored, or another home has the same key. */
  | { readonly state: 'behind'; readonly unknown: readonly Head[] };

export interface Generation {
  /**
   * What was heard of the providers within the last {@link FRESH_MS}, else asks a majority of those that keep slots. Never
   * rejects but for an abort.
   */
  standing(options?: AbortOptions): Promise<Standing>;
  /** Tells a majority of the providers how far this state is. Who does not take it in time is told with the next change. */
  publish(): Promise<void>;
  /** What a majority knows now; undefined where too few answer. Ask before reading what the heads stand for. */
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
/** Lines of writing that a slot tells apart. A further one is not taken: its writer stays unpublished. */
const MAX_HEADS = 16;
/** No name may have control characters, so none has this slot. */
export const RESERVED_NAME = '\0generation';

const generations = new WeakMap<Engine, WeakMap<VaultKeys, SlotGeneration>>();

/** The one of a state, as this process sees it. */
export function generationOf(context: RecordsContext): Generation {
  const { engine, keys } = context;
  const byKeys = generations.get(engine) ?? new WeakMap<VaultKeys, SlotGeneration>();
  generations.set(engine, byKeys);
  const known = byKeys.get(keys) ?? new SlotGeneration(context);
  byKeys.set(keys, known);
  return known;
}

interface Heard {
  readonly atMs: number;
  readonly heads: readonly Head[];
  /** Empty when a majority answered. */
  readonly why: readonly string[];
}

class SlotGeneration implements Generation {
  readonly #context: RecordsContext;
  #heard: Heard | undefined;
  #hearing: Promise<Heard> | undefined;
  #publishing: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(context: RecordsContext) {
    this.#context = context;
  }

  async standing({ signal }: AbortOptions = {}): Promise<Standing> {
    const heard = await this.#recent(signal);
    // After the slots: what they tell of this state's own changes, the engine knows by now.
    const record = await engineGenerationOf(this.#context.engine).read({ signal });
    const standing = judge(heard, record);
    engineGenerationOf(this.#context.engine).setConfirmed(standing.state === 'confirmed');
    return standing;
  }

  /** One at a time: those who come while it runs share the next. */
  publish(): Promise<void> {
    if (this.#publishing === undefined) return this.#begin();
    this.#next ??= this.#publishing.then(() => this.#begin());
    return this.#next;
  }

  async heads({ signal }: AbortOptions = {}): Promise<readonly Head[] | undefined> {
    const heard = await this.#hear(signal);
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

  async #recent(signal: AbortSignal | undefined): Promise<Heard> {
    const { clock } = this.#context;
    if (this.#heard !== undefined && clock.monotonic() - this.#heard.atMs < FRESH_MS) return this.#heard;
    this.#hearing ??= this.#hear(undefined).finally(() => {
      this.#hearing = undefined;
    });
    return abortable(this.#hearing, signal, 'asking for the generation of the state');
  }

  async #hear(signal: AbortSignal | undefined): Promise<Heard> {
    const atMs = this.#context.clock.monotonic();
    const heads: Head[] = [];
    const why = await this.#askMajority(signal, async ({ adapter }, its) => {
      const there = await adapter.readSlot(this.#slot, { signal: its });
      heads.push(...(there === undefined ? [] : this.#open(there.bytes)));
    });
    this.#heard = { atMs, heads, why };
    return this.#heard;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    this.#publishing = this.#publish().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  async #publish(): Promise<void> {
    const record = await engineGenerationOf(this.#context.engine).read();
    if (record === undefined) return;
    const met: Head[] = [];
    await this.#askMajority(undefined, ({ adapter }, signal) => this.#write(adapter, record, met, signal));
    // A write has read: what others wrote meanwhile is known at once.
    const heard = this.#heard;
    if (heard !== undefined) this.#heard = { ...heard, heads: [...heard.heads, ...met] };
  }

  async #write(
    adapter: Provider['adapter'],
    record: GenerationRecord,
    met: Head[],
    signal: AbortSignal,
  ): Promise<void> {
    const { incarnation, counter } = record;
    for (let round = 0; ; round++) {
      const there = await readIfIntact(adapter, this.#slot, { signal });
      const held = there === undefined ? [] : this.#openOrNone(there.bytes);
      met.push(...held);
      const others = held.filter((head) => !knows(record, head));
      const own = held.find((head) => head.incarnation === incarnation);
      if (own !== undefined && own.counter >= counter) return;
      const heads = [{ incarnation, counter }, ...others.filter((head) => head !== own)];
      if (heads.length > MAX_HEADS) throw new Error('too many homes have written to this vault');
      try {
        await adapter.writeSlot(this.#slot, this.#seal(heads), there?.version, { signal });
        return;
      } catch (error) {
        if (!isHoldfastError(error, 'Conflict') || round === MAX_ROUNDS) throw error;
      }
    }
  }

  /** @returns why it was no majority; empty when it was. */
  async #askMajority(
    outer: AbortSignal | undefined,
    ask: (provider: Provider, signal: AbortSignal) => Promise<void>,
  ): Promise<string[]> {
    const { clock, directory } = this.#context;
    const able = directory.all().filter(({ adapter }) => adapter.capabilities.supportsSlots);
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
      await Promise.all(Array.from({ length: needed }, fill));
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

  #seal(heads: readonly Head[]): Uint8Array {
    const { keys, random } = this.#context;
    const nameKey = keys.nameKey(RESERVED_NAME);
    const coded = heads.map(({ incarnation, counter }) => ({ incarnation: fromHex(incarnation), counter }));
    const plain = encodeNode({ v: 1, heads: coded });
    return concatBytes(fromHex(nameKey), seal(keys.pointer, aadOf(nameKey), plain, random));
  }

  /** @throws HoldfastError `Corrupt` for what is damaged, or of a later version. */
  #open(content: Uint8Array): Head[] {
    const { keys } = this.#context;
    const aad = aadOf(keys.nameKey(RESERVED_NAME));
    const fields = new Fields(
      decodeNode(unseal(keys.pointer, aad, content.subarray(NAME_KEY_BYTES))),
      'generation',
    );
    fields.uint('v', 1, 1);
    const heads = fields.list('heads', MAX_HEADS, (value) => {
      const head = new Fields(value, 'generation');
      const [incarnation, counter] = [toHex(head.bytes('incarnation', 16)), head.uint('counter')];
      head.end();
      return { incarnation, counter };
    });
    fields.end();
    return heads;
  }

  /** Nothing but damage is written over: what a later version wrote does not open as damage does. */
  #openOrNone(content: Uint8Array): Head[] {
    try {
      return this.#open(content);
    } catch (error) {
      if (isHoldfastError(error) && error.code === 'authentication') return [];
      throw error;
    }
  }
}

const NAME_KEY_BYTES = 32;

const aadOf = (nameKey: string): Uint8Array =>
  concatBytes(Uint8Array.of(NODE_VERSION, 0xfa), fromHex(nameKey));

function judge({ heads, why }: Heard, record: GenerationRecord | undefined): Standing {
  const unknown = heads.filter((head) => !knows(record, head));
  if (unknown.length > 0) return { state: 'behind', unknown };
  return why.length > 0 ? { state: 'unconfirmed', why } : { state: 'confirmed' };
}
