import { concatBytes, toHex } from '../core/bytes.ts';
import { HoldfastError, isHoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';
import { MAX_SLOT_BYTES, type Slot, type SlotName, type SlotVersion } from './adapter.ts';
import { slotConflict } from './guard.ts';

/**
 * Slots out of one atomic operation that many backends have: creating a name that must not exist yet.
 *
 * A slot is a row of numbered generations; the highest is current. To write is to create the next number, which the
 * backend grants to one writer only: compare-and-swap without a lock that could go stale. To delete is to write a
 * generation that says "nothing", so that a number is never given out twice. Old generations are removed, but only those
 * that lie {@link KEPT_GENERATIONS} back: a writer that slept so long that its number had become free again then finds one
 * that much higher beside its own, and knows that it cannot tell whether it won.
 *
 * A generation: 1 byte (0 deleted, 1 written), 16 random bytes that make its version unique, then the content.
 */
export interface GenerationStore {
  /** Numbers present, in any order; none for a slot that was never written. No more than needed to see that there are too many. */
  numbers(name: SlotName, signal: AbortSignal | undefined): Promise<readonly number[]>;
  /** Undefined when it is not there (any more). Reads no more than {@link MAX_GENERATION_BYTES}. */
  read(name: SlotName, number: number, signal: AbortSignal | undefined): Promise<Uint8Array | undefined>;
  /** Durably and whole, or not at all. @throws Conflict when the number is taken. */
  create(name: SlotName, number: number, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void>;
  /** Idempotent. */
  remove(name: SlotName, number: number): Promise<void>;
  /** Resolves once what was removed stays so whatever happens; not there where that is true at once. */
  flush?(name: SlotName): Promise<void>;
  /** Lets go of what holds the generations, once none is left. */
  close?(name: SlotName): Promise<void>;
}

export interface Slots {
  /** @throws Corrupt for a damaged one, which may be deleted, or written over as if it were not there. */
  read(name: SlotName, signal: AbortSignal | undefined): Promise<Slot | undefined>;
  /** Whether it is to be listed: damaged ones too. */
  isThere(name: SlotName, signal: AbortSignal | undefined): Promise<boolean>;
  write(
    name: SlotName,
    bytes: Uint8Array,
    expected: SlotVersion | undefined,
    signal: AbortSignal | undefined,
  ): Promise<SlotVersion>;
  /** @param forget leave no trace, see `DeleteSlotOptions`. */
  delete(name: SlotName, signal: AbortSignal | undefined, forget?: boolean): Promise<void>;
}

const DELETED = 0;
const WRITTEN = 1;
const HEADER_BYTES = 17;
const KEPT_GENERATIONS = 8;
const MAX_ATTEMPTS = 32;

const MAX_NUMBER = 10 ** 15 - 1;

/** Far more than are ever kept; a provider that shows more is not believed. */
export const MAX_GENERATIONS = 10_000;

/** One more than the longest, so that an overlong one is seen. */
export const MAX_GENERATION_BYTES: number = HEADER_BYTES + MAX_SLOT_BYTES + 1;

/** The number that a file or key name spells, if it spells one. */
export function generationOf(name: string): number | undefined {
  return /^[1-9][0-9]{0,14}$/.test(name) ? Number(name) : undefined;
}

export function createSlots(store: GenerationStore, random: RandomBytes): Slots {
  const append = async (
    name: SlotName,
    number: number,
    state: number,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<SlotVersion> => {
    // Only somebody else can have made a number so high, and one more would not be read as one.
    if (number > MAX_NUMBER) throw new HoldfastError('Corrupt', 'the slot has no numbers left');
    const token = random(16);
    await store.create(name, number, concatBytes(Uint8Array.of(state), token, bytes), signal);
    // From here on it may have been seen, so it is seen through whatever the signal says.
    const numbers = await store.numbers(name, undefined);
    if (numbers.some((other) => other >= number + KEPT_GENERATIONS)) {
      await store.remove(name, number);
      throw outcomeUnknown();
    }
    for (const old of numbers) if (old <= number - KEPT_GENERATIONS) await store.remove(name, old);
    return versionOf(number, token);
  };

  const markDeleted = async (name: SlotName, signal: AbortSignal | undefined): Promise<void> => {
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const found = await current(store, name, signal);
      if (found.slot === undefined && !found.damaged) return;
      try {
        await append(name, found.number + 1, DELETED, new Uint8Array(), signal);
        return;
      } catch (error) {
        if (!isHoldfastError(error, 'Conflict')) throw error;
      }
    }
    throw busy();
  };

  return {
    async read(name, signal) {
      const { slot, damaged } = await current(store, name, signal);
      if (damaged) throw new HoldfastError('Corrupt', 'what is kept as a slot is not readable as one');
      return slot;
    },
    async isThere(name, signal) {
      const { slot, damaged } = await current(store, name, signal);
      return damaged || slot !== undefined;
    },
    async write(name, bytes, expected, signal) {
      const found = await current(store, name, signal);
      if (found.slot?.version !== expected) throw slotConflict();
      return append(name, found.number + 1, WRITTEN, bytes, signal);
    },
    async delete(name, signal, forget = false) {
      await markDeleted(name, signal);
      if (!forget) return;
      await forgetAll(store, name, signal);
    },
  };
}

/** The generation that says "deleted" goes last, or a crash in between would bring back what was there before. */
async function forgetAll(
  store: GenerationStore,
  name: SlotName,
  signal: AbortSignal | undefined,
): Promise<void> {
  const numbers = [...(await store.numbers(name, signal))].sort((a, b) => a - b);
  const last = numbers.pop();
  for (const number of numbers) await store.remove(name, number);
  await store.flush?.(name);
  if (last !== undefined) await store.remove(name, last);
  await store.close?.(name);
}

/** Looks again when the generation it had chosen was superseded and cleaned away meanwhile. */
async function current(
  store: GenerationStore,
  name: SlotName,
  signal: AbortSignal | undefined,
): Promise<Generation> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const numbers = await store.numbers(name, signal);
    const number = numbers.reduce((a, b) => Math.max(a, b), 0);
    if (numbers.length > MAX_GENERATIONS) return { number, slot: undefined, damaged: true };
    if (number === 0) return { number, slot: undefined, damaged: false };
    const bytes = await store.read(name, number, signal);
    if (bytes !== undefined) return parse(number, bytes);
  }
  throw busy();
}

interface Generation {
  readonly number: number;
  readonly slot: Slot | undefined;
  /** Something is there and is not readable as a slot. */
  readonly damaged: boolean;
}

function parse(number: number, bytes: Uint8Array): Generation {
  const known = bytes[0] === DELETED || bytes[0] === WRITTEN;
  const damaged = !known || bytes.length < HEADER_BYTES || bytes.length >= MAX_GENERATION_BYTES;
  if (damaged || bytes[0] === DELETED) return { number, slot: undefined, damaged };
  const version = versionOf(number, bytes.subarray(1, HEADER_BYTES));
  return { number, slot: { bytes: bytes.slice(HEADER_BYTES), version }, damaged };
}

const versionOf = (number: number, token: Uint8Array): SlotVersion => `${number}.${toHex(token)}`;

const busy = (): HoldfastError =>
  new HoldfastError('Unavailable', 'the slot is being rewritten faster than it can be read', {
    code: 'slot_busy',
  });

/** Not a Conflict: others may have built on the write. */
const outcomeUnknown = (): HoldfastError =>
  new HoldfastError(
    'Unavailable',
    'the slot was rewritten many times meanwhile, so it cannot be told whether this write was one of them',
    {
      code: 'slot_outcome_unknown',
      hint: 'Read the slot again and decide anew.',
    },
  );
