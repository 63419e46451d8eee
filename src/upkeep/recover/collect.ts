import { abortable, throwIfAborted } from '../../core/abort.ts';
import { equalBytes } from '../../core/bytes.ts';
import { asHoldfastError, isHoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import { LISTINGS } from '../../core/straggler-policies.ts';
import { Stragglers, type Turn } from '../../core/stragglers.ts';
import { comparePointers } from '../../manifest/pointer.ts';
import type { Provider } from '../../providers/provider.ts';
import { MARK_SLOT } from '../../records/move-marks.ts';
import { PLACE_SLOT } from '../../records/places.ts';
import { readRelocationSlot } from '../../records/slot-relocations.ts';
import { readSlotContent, type SlotPointer, withSlots } from '../../records/slots.ts';
import type { UpkeepContext } from '../context.ts';

/** What was found of one name: its versions, each once, the highest first. */
export type Versions = readonly SlotPointer[];

export interface Collected {
  /** By name key. */
  readonly names: ReadonlyMap<string, Versions>;
  /** Providers of which each version was heard. */
  readonly holders: ReadonlyMap<SlotPointer, ReadonlySet<string>>;
  /** Slots of relocations, by their names, and the providers that have them. */
  readonly relocations: ReadonlyMap<string, ReadonlySet<string>>;
  /** Providers that were heard to the end. */
  readonly heard: ReadonlySet<string>;
  /** Providers that may know more than they said, and why. */
  readonly unconfirmed: ReadonlyMap<string, string>;
  /** Those of them that did not answer, or failed: they are not worth asking for anything else now. */
  readonly silent: ReadonlyMap<string, string>;
  /** Slots that cannot be read as such, by their names, and where; what they held, others may hold too. */
  readonly damaged: ReadonlyMap<string, ReadonlySet<string>>;
  readonly damagedSlots: number;
}

/** Slots under way at once at each provider. */
const PARALLEL = 8;
/** Contents remembered of each name. */
const MAX_VERSIONS = 16;
/**
 * A provider that has named nothing new of this vault for so long is heard no further: lists can be made to have no
 * end. Others' slots may stand between, so it is generous, and more so where everybody is slow.
 */
const IDLE_MS = 30_000;
const IDLE_FACTOR = 4;
/** Damaged slots of which it is remembered where they are. */
const MAX_DAMAGED = 100_000;
/** Slots of relocations of which it is remembered where they are. */
const MAX_RELOCATION_SLOTS = 1_000_000;
/** Slots that could not be read before a provider is given up. */
const MAX_FAILURES = 4;

/** Reads the pointers in the slots of all providers at once. Nobody who does not answer, or never ends, is waited for. */
export async function collectPointers(
  context: UpkeepContext,
  signal: AbortSignal | undefined,
): Promise<Collected> {
  const able = withSlots(context.directory.all());
  const gathering = new Gathering(context);
  const laggards = new Stragglers(context.clock, LISTINGS);
  try {
    await Promise.all(able.map((provider) => gathering.hear(provider, laggards, signal)));
  } finally {
    laggards.close();
  }
  throwIfAborted(signal, 'recover');
  return gathering;
}

class Gathering implements Collected {
  readonly names = new Map<string, SlotPointer[]>();
  readonly holders = new Map<SlotPointer, Set<string>>();
  readonly relocations = new Map<string, Set<string>>();
  readonly heard = new Set<string>();
  readonly unconfirmed = new Map<string, string>();
  readonly silent = new Map<string, string>();
  readonly damaged = new Map<string, Set<string>>();
  damagedSlots = 0;
  readonly #context: UpkeepContext;
  readonly #startedMs: number;
  /** How long the slowest of those took that were heard to the end. */
  #slowestMs = 0;

  constructor(context: UpkeepContext) {
    this.#context = context;
    this.#startedMs = context.clock.monotonic();
  }

  async hear(provider: Provider, laggards: Stragglers, signal: AbortSignal | undefined): Promise<void> {
    const { directory } = this.#context;
    const turn = laggards.begin(signal, 'recover', () => directory.late(provider.id));
    const hearing = new Hearing(this, provider, turn);
    try {
      const slots = provider.adapter.listSlots({ signal: turn.signal })[Symbol.asyncIterator]();
      const worker = async (): Promise<void> => {
        while (await hearing.next(slots));
      };
      await abortable(Promise.all(Array.from({ length: PARALLEL }, worker)), turn.signal);
      const problem = hearing.problem ?? hearing.unread;
      if (problem === undefined) this.#heardOut(provider.id);
      else this.unconfirmed.set(provider.id, problem);
    } catch (error) {
      const why = turn.late ? NO_ANSWER : asHoldfastError(error).message;
      this.unconfirmed.set(provider.id, why);
      this.silent.set(provider.id, why);
    } finally {
      turn.end();
    }
  }

  get clock(): UpkeepContext['clock'] {
    return this.#context.clock;
  }

  get idleMs(): number {
    return Math.max(IDLE_MS, IDLE_FACTOR * this.#slowestMs);
  }

  /** @returns whose it is; undefined for what is not this vault's. */
  take(slot: string, content: Uint8Array, provider: string): string | undefined {
    const found = readSlotContent(this.#context, content);
    // A true pointer in another's slot would count for a name again and again.
    if (found === undefined) return this.#takeMoves(slot, content, provider);
    if (this.#context.keys.slotName(found.pointer.name) !== slot) return undefined;
    const versions = entryOf(this.names, found.nameKey, () => []);
    const known = versions.find(({ sealed }) => equalBytes(sealed, found.sealed));
    entryOf(this.holders, known ?? found, () => new Set<string>()).add(provider);
    if (known !== undefined) return found.nameKey;
    versions.push(found);
    versions.sort((a, b) => comparePointers(this.#context.blake3, b.pointer, a.pointer));
    if (versions.length > MAX_VERSIONS) this.holders.delete(versions.pop()!);
    return found.nameKey;
  }

  /** What it says is read once it is known which segments there are. */
  #takeMoves(slot: string, content: Uint8Array, provider: string): string | undefined {
    const found = readRelocationSlot(this.#context, slot, content);
    if (found === undefined) return undefined;
    if (this.relocations.size < MAX_RELOCATION_SLOTS || this.relocations.has(slot))
      entryOf(this.relocations, slot, () => new Set<string>()).add(provider);
    else this.unconfirmed.set(provider, 'it has too many slots of what was moved');
    return found.relocations.some(({ signed }) => signed) ? slot : undefined;
  }

  #heardOut(id: string): void {
    this.heard.add(id);
    this.#slowestMs = Math.max(this.#slowestMs, this.clock.monotonic() - this.#startedMs);
  }
}

/** One provider's slots. */
class Hearing {
  /** Why it is heard no further. */
  problem: string | undefined;
  /** Why one of its slots could not be read. */
  unread: string | undefined;
  readonly #gathering: Gathering;
  readonly #provider: Provider;
  readonly #turn: Turn;
  readonly #names = new Set<string>();
  #newsMs: number;
  #failures = 0;

  constructor(gathering: Gathering, provider: Provider, turn: Turn) {
    this.#gathering = gathering;
    this.#provider = provider;
    this.#turn = turn;
    this.#newsMs = gathering.clock.monotonic();
  }

  /** @returns false when there is nothing more, or enough was heard. */
  async next(slots: AsyncIterator<string>): Promise<boolean> {
    const { clock } = this.#gathering;
    if (this.problem !== undefined || this.#turn.signal.aborted) return false;
    const started = clock.monotonic();
    const { done, value } = await slots.next();
    if (done !== true) await this.#read(value);
    this.#turn.progressed(clock.monotonic() - started);
    if (clock.monotonic() - this.#newsMs > this.#gathering.idleMs) {
      this.problem ??= 'its list of names goes on and on without any of this vault';
    }
    if (this.problem === undefined) return done !== true;
    void slots.return?.().catch(() => {});
    return false;
  }

  async #read(slot: string): Promise<void> {
    try {
      const content = await this.#provider.adapter.readSlot(slot, { signal: this.#turn.signal });
      const name = content && this.#gathering.take(slot, content.bytes, this.#provider.id);
      if (name === undefined || this.#names.has(name)) return;
      this.#names.add(name);
      this.#newsMs = this.#gathering.clock.monotonic();
    } catch (error) {
      if (isHoldfastError(error, 'Corrupt')) return this.#damaged(slot);
      if (this.#turn.signal.aborted) throw error;
      if (++this.#failures >= MAX_FAILURES) throw error;
      this.unread = asHoldfastError(error).message;
    }
  }

  #damaged(slot: string): void {
    const { damaged } = this.#gathering;
    this.#gathering.damagedSlots++;
    if (slot === PLACE_SLOT || slot === MARK_SLOT) return;
    if (damaged.size === MAX_DAMAGED && !damaged.has(slot))
      this.unread = 'too many of its slots cannot be read';
    else entryOf(damaged, slot, () => new Set<string>()).add(this.#provider.id);
  }
}

const NO_ANSWER = 'it did not answer while others did';
