import PQueue from 'p-queue';
import { equalBytes } from '../../core/bytes.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { comparePointers, openPointer, type Pointer, relationOf } from '../../manifest/pointer.ts';
import { type Fork, judgeRival, keepFork } from '../../records/forks.ts';
import { noJournals } from '../../records/journal.ts';
import { backUpPointer } from '../../records/name-backup.ts';
import { NAMES_TABLE } from '../../records/name-record.ts';
import { type NameChange, setPointer } from '../../records/names.ts';
import type { SlotPointer } from '../../records/slots.ts';
import { namesDue, queueSlots } from '../../records/slots.ts';
import type { UpkeepContext } from '../context.ts';
import type { Collected, Versions } from './collect.ts';

export interface Settled {
  /** What every name stands for now, those that were removed among them. */
  readonly pointers: readonly Pointer[];
  /** Names of which this state knew an older version only. */
  readonly advanced: number;
  /** Names of which every provider has an older version only, or none, than this state. */
  readonly rolledBack: readonly string[];
  readonly forks: readonly Fork[];
}

/** Names under way at once. */
const PARALLEL = 8;
/** Another writer's pointer may come between so often. */
const MAX_ROUNDS = 8;

/** What this state knew before the providers were heard. */
export interface KnownBefore {
  /** By name key; 0 for a record that cannot be read. */
  readonly versions: ReadonlyMap<string, number>;
  /** No put or removal was under way, whose copies at the providers may have been on their way. */
  readonly quiet: boolean;
}

export async function knownBefore(
  context: UpkeepContext,
  signal: AbortSignal | undefined,
): Promise<KnownBefore> {
  const versions = new Map<string, number>();
  const quiet = await noJournals(context, { signal });
  const onDamaged = (key: string): void => void versions.set(key, 0);
  for await (const [key, sealed] of context.engine.table(NAMES_TABLE).entries({ signal, onDamaged })) {
    versions.set(key, versionIn(context, key, sealed));
  }
  return { versions, quiet };
}

function versionIn(context: UpkeepContext, key: string, sealed: Uint8Array): number {
  try {
    return openPointer(sealed, key, context.keys.pointer).version;
  } catch {
    return 0;
  }
}

/** Brings the engine and the slots together: the highest version wins in both, and of a fork all contents are kept. */
export async function settleNames(
  context: UpkeepContext,
  before: KnownBefore,
  collected: Collected,
  signal: AbortSignal | undefined,
): Promise<Settled> {
  const settling = new Settling(context, before, collected, await namesDue(context, { signal }));
  const queue = new PQueue({ concurrency: PARALLEL });
  const keys = new Set([...collected.names.keys(), ...before.versions.keys()]);
  await Promise.all(
    [...keys].map((key) => queue.add(() => settling.settle(key, collected.names.get(key)), { signal })),
  );
  return settling;
}

class Settling implements Settled {
  readonly pointers: Pointer[] = [];
  readonly rolledBack: string[] = [];
  readonly forks: Fork[] = [];
  advanced = 0;
  readonly #context: UpkeepContext;
  readonly #before: KnownBefore;
  readonly #collected: Collected;
  /** Name keys of which a provider is known to have an older version, since it was not there when they changed. */
  readonly #due: ReadonlySet<string>;

  constructor(context: UpkeepContext, before: KnownBefore, collected: Collected, due: ReadonlySet<string>) {
    this.#context = context;
    this.#before = before;
    this.#collected = collected;
    this.#due = due;
  }

  async settle(key: string, versions: Versions = []): Promise<void> {
    const [best] = versions;
    const { now, before } = await this.#highest(key, best);
    if (now === undefined) return;
    this.pointers.push(now.pointer);
    const rivals = await this.#rivalsOf(now, before === undefined ? versions : [...versions, before]);
    for (const rival of rivals) await this.#keep(rival.pointer);
    const behind = best === undefined || this.#order(best.pointer, now.pointer) < 0;
    if (behind) this.#noteBehind(key, now.pointer, best);
    if (rivals.length > 0 || behind) await this.#backUp({ ...now, replaced: undefined }, rivals.length > 0);
    await this.#noteLate(key, now, versions);
  }

  /** A slot that stayed behind is brought up to date: the note of it may be what this state lost. */
  async #noteLate(key: string, now: SlotPointer, versions: Versions): Promise<void> {
    const late = versions
      .filter(({ sealed }) => !equalBytes(sealed, now.sealed))
      .flatMap((one) => [...(this.#collected.holders.get(one) ?? [])]);
    await queueSlots(this.#context, late, key, now.pointer.version);
  }

  /** @returns what the engine has afterwards, and what it had if that was another. */
  async #highest(
    key: string,
    best: SlotPointer | undefined,
  ): Promise<{ readonly now: SlotPointer | undefined; readonly before?: SlotPointer | undefined }> {
    for (let round = 0; ; round++) {
      const current = await this.#current(key);
      if (best === undefined) return { now: current.known };
      const { known } = current;
      if (known !== undefined && this.#order(best.pointer, known.pointer) <= 0) return { now: known };
      const expected = current.damaged ? 'any' : current.known?.sealed;
      if (await setPointer(this.#context, { ...best, replaced: undefined }, expected)) {
        if (known !== undefined) this.advanced++;
        return { now: best, before: known };
      }
      if (round === MAX_ROUNDS) return { now: known };
    }
  }

  async #current(nameKey: string): Promise<{ readonly known?: SlotPointer; readonly damaged?: boolean }> {
    try {
      const sealed = await this.#context.engine.table(NAMES_TABLE).get(nameKey);
      if (sealed === undefined) return {};
      return {
        known: { nameKey, sealed, pointer: openPointer(sealed, nameKey, this.#context.keys.pointer) },
      };
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      return { damaged: true };
    }
  }

  #order(a: Pointer, b: Pointer): number {
    return comparePointers(this.#context.blake3, a, b);
  }

  /** What the present version does not follow from, not even by way of others that were found. */
  async #rivalsOf(now: SlotPointer, found: Versions): Promise<SlotPointer[]> {
    const shown = [now];
    const others = found.filter(({ sealed }) => !equalBytes(sealed, now.sealed));
    for (const one of others.sort((a, b) => this.#order(b.pointer, a.pointer))) {
      const { blake3 } = this.#context;
      if (shown.some(({ pointer }) => relationOf(blake3, pointer, one) === 'follows')) shown.push(one);
    }
    const rivals: SlotPointer[] = [];
    for (const one of others) {
      if (shown.includes(one)) continue;
      // A name is kept also of what cannot be told now: the state that would tell it later may be lost.
      if ((await judgeRival(this.#context, one, now)) !== 'none') rivals.push(one);
    }
    return rivals;
  }

  #noteBehind(key: string, { name, version, manifest }: Pointer, best: SlotPointer | undefined): void {
    const { unconfirmed, heard } = this.#collected;
    const harmless = manifest === undefined && best === undefined;
    const settled = this.#before.quiet && this.#before.versions.get(key) === version;
    const known = unconfirmed.size > 0 || heard.size === 0 || this.#due.has(key);
    if (settled && !harmless && !known) this.rolledBack.push(name);
  }

  async #keep(pointer: Pointer): Promise<void> {
    const { fork, change } = await keepFork(this.#context, pointer);
    this.forks.push(fork);
    if (change === undefined) return;
    this.pointers.push(change.pointer);
    await this.#backUp(change, false);
  }

  /** @param everywhere also where nothing but another side of a fork may stand. */
  async #backUp(change: NameChange, everywhere: boolean): Promise<void> {
    const { directory, policy } = this.#context;
    const heard = directory.all().filter(({ id }) => this.#collected.heard.has(id));
    const copies = everywhere ? heard.length : Math.min(heard.length, policy.minTolerates + 2);
    const { forks } = await backUpPointer(this.#context, change, heard, copies);
    for (const fork of forks) {
      const noted = this.forks.some(({ name, manifest }) => name === fork.name && manifest === fork.manifest);
      if (!noted) this.forks.push(fork);
    }
  }
}
