import { type AbortOptions, abortable, throwIfAborted } from '../core/abort.ts';
import { equalBytes, toHex } from '../core/bytes.ts';
import { asHoldfastError, HoldfastError, isHoldfastError } from '../core/errors.ts';
import { type EachOptions, eachAlone, type PieceFailure } from '../core/pieces.ts';
import { POINTER_WRITES } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import { entriesFrom } from '../engine/batches.ts';
import { comparePointers, type Pointer, pointerHash, relationOf } from '../manifest/pointer.ts';
import { type CopiesWanted, CopyDealer, spread } from '../object/rendezvous.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import { type Fork, judgeRival, keepFork } from './forks.ts';
import { noteCopies } from './name-places.ts';
import { currentChange, type NameChange, supersede } from './names.ts';
import { type Poison, PoisonLog } from './poison.ts';
import {
  askSlots,
  DUE_TABLE,
  isNameKey,
  queueName,
  queueSlots,
  readIfIntact,
  readSlotContent,
  type SlotPointer,
  slotContent,
  slotsDue,
  withSlots,
} from './slots.ts';

export interface NameBackUp {
  /** Providers that hold exactly this pointer, or one that is shown to follow it. */
  readonly copies: number;
  /** Failure domains that these are of. */
  readonly domains: number;
  /** Providers that were asked to hold it and did not say in time that they do; they are told again later. */
  readonly unconfirmed: readonly string[];
  /** Of them, those whose slot holds what may be a fork, until every provider says, or one whose own name has no copy. */
  readonly undecided: readonly string[];
  /** What the providers held that this state did not know of. */
  readonly forks: readonly Fork[];
}

/** Another writer's pointer may come between so often. */
const MAX_ROUNDS = 8;

/**
 * Copies a name's pointer to slots at the providers, from which the engine can be rebuilt. A slot counts only if it holds
 * these very bytes or a version that is shown to follow them: an equal version with other bytes, or a later one that the
 * engine has not heard of, is a fork. Its content is kept under a name of its own, and this pointer is put above it,
 * or `recover` would bring the other back.
 * @param copies so many are wanted; a provider that is late or fails is replaced by the next. A number alone asks for no
 * failure domains. Where they are too few, the name is queued until they are enough.
 */
export async function backUpPointer(
  context: RecordsContext,
  change: NameChange,
  providers: readonly Provider[],
  copies: number | CopiesWanted,
  options: AbortOptions = {},
): Promise<NameBackUp> {
  const wanted = typeof copies === 'number' ? { wanted: copies, needed: 0 } : copies;
  const able = withSlots(providers);
  const round = new BackUpRounds(context, able, wanted, options);
  const done = await round.run(change);
  return { ...done, forks: round.forks };
}

type Outcome = 'held' | 'silent' | 'undecided' | SlotPointer;

interface Pass extends Pick<NameBackUp, 'copies' | 'domains' | 'undecided'> {
  /** Ids of those that hold it. */
  readonly held: readonly string[];
  readonly unconfirmed: string[];
  readonly rivals: SlotPointer[];
}

class BackUpRounds {
  readonly forks: Fork[] = [];
  readonly #context: RecordsContext;
  readonly #providers: readonly Provider[];
  readonly #wanted: CopiesWanted;
  readonly #options: AbortOptions;
  /** Hashes of forks that have been seen to. */
  readonly #known = new Set<string>();
  /** … and of what cannot be told to be one: that stays where it is for now. */
  readonly #undecided = new Set<string>();

  constructor(
    context: RecordsContext,
    providers: readonly Provider[],
    wanted: CopiesWanted,
    options: AbortOptions,
  ) {
    this.#context = context;
    this.#providers = providers;
    this.#wanted = wanted;
    this.#options = options;
  }

  async run(change: NameChange): Promise<Omit<NameBackUp, 'forks'>> {
    let current = change;
    for (let round = 0; ; round++) {
      const { copies, domains, held, unconfirmed, undecided, rivals } = await this.#pass(current);
      const raised = rivals.length > 0 && round < MAX_ROUNDS ? await this.#above(current, rivals) : undefined;
      if (raised === undefined) {
        const nameKey = this.#context.keys.nameKey(current.pointer.name);
        const due = current.replaced === undefined ? unconfirmed : [...unconfirmed, ...this.#away()];
        await queueSlots(this.#context, due, nameKey, current.pointer.version);
        if (domains < this.#wanted.needed) {
          await queueName(this.#context, nameKey, current.pointer.version, this.#wanted.needed);
        }
        await noteCopies(this.#context, current, { needed: this.#wanted.needed, held });
        return { copies, domains, unconfirmed, undecided };
      }
      current = raised;
    }
  }

  /** Those that nobody asked because they are away: they may hold the version before, and are told when they are back. */
  #away(): string[] {
    const { directory } = this.#context;
    const asked = new Set(this.#providers.map(({ id }) => id));
    return withSlots(directory.all())
      .map(({ id }) => id)
      .filter((id) => !asked.has(id) || !directory.isResponsive(id));
  }

  /** Undefined when the engine has gone on meanwhile, to what the slots may well hold: then there is no fork. */
  async #above(current: NameChange, rivals: readonly SlotPointer[]): Promise<NameChange | undefined> {
    const now = await currentChange(this.#context, rivals[0]!.nameKey);
    if (now === undefined || !equalBytes(now.sealed, current.sealed)) return undefined;
    const pointers: Pointer[] = [];
    const { signal } = this.#options;
    const { held } = await askSlots(this.#context, current.pointer.name, 'judging a fork', signal);
    for (const rival of rivals) {
      const hash = this.#hash(rival.pointer);
      const isSettled = this.#known.has(hash) || this.#isFollowed(rival, held.values());
      const verdict = isSettled ? 'none' : await this.#judge(rival, current);
      if (verdict !== 'undecided') pointers.push(rival.pointer);
      (verdict === 'undecided' ? this.#undecided : this.#known).add(hash);
    }
    if (pointers.every(({ version }) => version < current.pointer.version)) return current;
    pointers.sort((a, b) => comparePointers(this.#context.blake3, b, a));
    return supersede(this.#context, current, pointers);
  }

  /** A fork's own name is copied before anything is put above it, for this state may be lost in between; else it stays. */
  async #judge(rival: SlotPointer, current: NameChange): Promise<'fork' | 'none' | 'undecided'> {
    const verdict = await judgeRival(this.#context, rival, current, this.#options);
    if (verdict !== 'fork') return verdict;
    const { fork, change } = await keepFork(this.#context, rival.pointer);
    this.forks.push(fork);
    if (fork.keptAs === undefined) return 'fork';
    // One that it had already may not have been copied then.
    const named = change ?? (await currentChange(this.#context, this.#context.keys.nameKey(fork.keptAs)));
    if (named === undefined) return 'fork';
    const rounds = new BackUpRounds(this.#context, this.#providers, this.#wanted, this.#options);
    const { copies } = await rounds.run(named);
    return copies > 0 ? 'fork' : 'undecided';
  }

  /** Who wrote over it elsewhere had seen it, and may be deleting it. */
  #isFollowed(rival: SlotPointer, others: Iterable<Pointer>): boolean {
    for (const other of others) if (relationOf(this.#context.blake3, other, rival) === 'follows') return true;
    return false;
  }

  async #pass(change: NameChange): Promise<Pass> {
    const { clock, directory, keys } = this.#context;
    const slot = keys.slotName(change.pointer.name);
    const order = spread(this.#context, slot, this.#providers);
    const queue = order.filter(({ id }) => directory.isResponsive(id));
    const others = order.filter((provider) => !queue.includes(provider));
    const dealer = new CopyDealer(this.#context, this.#wanted, queue);
    const unconfirmed: string[] = [];
    const undecided: string[] = [];
    const rivals: SlotPointer[] = [];
    const laggards = new Stragglers(clock, POINTER_WRITES);
    const fill = async (): Promise<void> => {
      for (let next = dealer.next(); next !== undefined; next = dealer.next()) {
        const outcome = await this.#attempt(next, slot, change, laggards);
        dealer.answered(next, outcome === 'held');
        if (outcome === 'undecided') undecided.push(next.id);
        if (outcome === 'silent' || outcome === 'undecided') unconfirmed.push(next.id);
        else if (outcome !== 'held') return void rivals.push(outcome);
      }
    };
    const { wanted, needed } = this.#wanted;
    const ask = (): Promise<unknown> =>
      Promise.all(Array.from({ length: Math.min(Math.max(wanted, needed), order.length) }, fill));
    try {
      await ask();
      // Who is known not to answer is told later, unless there is nobody else.
      if (dealer.copies === 0 && rivals.length === 0) {
        dealer.add(others);
        await ask();
      } else if (dealer.copies < wanted || dealer.domains < needed) {
        unconfirmed.push(...others.map(({ id }) => id));
      }
    } finally {
      laggards.close();
    }
    const { copies, domains, holders: held } = dealer;
    return { copies, domains, held, unconfirmed, undecided, rivals };
  }

  async #attempt(
    provider: Provider,
    slot: string,
    change: NameChange,
    laggards: Stragglers,
  ): Promise<Outcome> {
    const { clock, directory } = this.#context;
    const late = (): void => directory.late(provider.id);
    const turn = laggards.begin(this.#options.signal, 'the copy of a name', late);
    const started = clock.monotonic();
    const writing = this.#write(provider, slot, change, turn.signal);
    const outcome = await abortable(writing, turn.signal).catch((): Outcome => 'silent');
    if (outcome !== 'silent') {
      turn.progressed(clock.monotonic() - started);
      directory.heard(provider.id);
    }
    turn.end();
    return outcome;
  }

  async #write(
    { adapter }: Provider,
    slot: string,
    change: NameChange,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const nameKey = this.#context.keys.nameKey(change.pointer.name);
    for (let round = 0; round < MAX_ROUNDS; round++) {
      try {
        const there = await readIfIntact(adapter, slot, { signal });
        const held = there && readSlotContent(this.#context, there.bytes, nameKey);
        const verdict = held === undefined ? 'older' : this.#compare(held, change);
        if (verdict === 'holds') return 'held';
        if (verdict === 'rival') return this.#undecided.has(this.#hash(held!.pointer)) ? 'undecided' : held!;
        await adapter.writeSlot(slot, slotContent(nameKey, change.sealed), there?.version, { signal });
        return 'held';
      } catch (error) {
        if (!isHoldfastError(error, 'Conflict')) return 'silent';
      }
    }
    return 'silent';
  }

  #compare(held: SlotPointer, { pointer, sealed, replaced }: NameChange): 'holds' | 'older' | 'rival' {
    const { blake3 } = this.#context;
    if (equalBytes(held.sealed, sealed)) return 'holds';
    if (relationOf(blake3, held.pointer, { pointer, sealed }) === 'follows') return 'holds';
    if (held.pointer.version >= pointer.version) return 'rival';
    if (this.#known.has(this.#hash(held.pointer))) return 'older';
    if (relationOf(blake3, pointer, held) === 'follows') return 'older';
    const { manifest } = held.pointer;
    const harmless =
      manifest === undefined || manifest === pointer.manifest || manifest === replaced?.manifest;
    return harmless ? 'older' : 'rival';
  }

  #hash(pointer: Pointer): string {
    return toHex(pointerHash(this.#context.blake3, pointer));
  }
}

/** Entries of each provider tried in one go. */
const MAX_RENEWED = 128;

/** What became of slots, or names, that were due. */
export interface Renewed {
  /** What providers held that this state did not know of. */
  readonly forks: readonly Fork[];
  readonly poison: Poison;
  /** Providers, or names, at which it was not done. */
  readonly failures: readonly PieceFailure[];
}

/**
 * Brings slots up to date whose providers answer again, at each provider by itself. A name that cannot be read keeps no
 * other from being renewed. Never rejects.
 */
export async function renewSlots(context: RecordsContext, options: EachOptions = {}): Promise<Renewed> {
  const forks: Fork[] = [];
  const poison = new PoisonLog(DUE_TABLE);
  const notDone: PieceFailure[] = [];
  const renewAt = async ({ id }: Provider, signal: AbortSignal): Promise<void> => {
    const due = await dueAt(context, id, poison, { signal });
    if (due.length > 0 && !context.directory.isResponsive(id)) throw notTaken('it does not answer');
    for (const [key, version] of due) {
      const nameKey = key.slice(id.length + 1);
      try {
        const found = await renew(context, id, nameKey, { signal });
        if (found === undefined)
          return void notDone.push({ piece: id, error: notTaken('it does not take them') });
        forks.push(...found);
      } catch (error) {
        throwIfAborted(signal, 'renewing slots');
        notDone.push({ piece: key, error: asHoldfastError(error) });
        continue;
      }
      // One that was queued anew meanwhile is for a later version, and stays.
      if (version === undefined) await slotsDue(context).delete(key);
      else await slotsDue(context).compareAndSet(key, version, undefined);
    }
  };
  const failures = await eachAlone(context.clock, context.directory.all(), ({ id }) => id, options, renewAt);
  return { forks, poison, failures: [...failures, ...notDone] };
}

const notTaken = (why: string): HoldfastError =>
  new HoldfastError('Unavailable', `copies of names are due there: ${why}`);

/** As many as are tried in one go, from a random one on: a name that is never renewed stands in nobody's way. */
async function dueAt(
  context: RecordsContext,
  provider: string,
  poison: PoisonLog,
  options: AbortOptions,
): Promise<readonly (readonly [key: string, version: Uint8Array | undefined])[]> {
  const due: (readonly [string, Uint8Array | undefined])[] = [];
  const add = (key: string, version?: Uint8Array): void => {
    if (isNameKey(key.slice(provider.length + 1))) due.push([key, version]);
    else poison.add(key);
  };
  const from = toHex(context.random(1));
  // Of a damaged entry the key says all that is needed.
  for await (const entry of entriesFrom(slotsDue(context), `${provider}/`, from, add, options)) {
    add(...entry);
    if (due.length >= MAX_RENEWED) break;
  }
  return due;
}

/** Undefined when the provider still does not take it. */
async function renew(
  context: RecordsContext,
  id: string,
  nameKey: string,
  options: AbortOptions,
): Promise<readonly Fork[] | undefined> {
  const change = await currentChange(context, nameKey, options);
  if (change === undefined) return [];
  const provider = context.directory.get(id)!;
  const { copies, forks, undecided } = await backUpPointer(context, change, [provider], 1, options);
  if (undecided.length > 0)
    throw notTaken('what one holds cannot be judged or kept while others do not answer');
  return copies > 0 || !provider.adapter.capabilities.supportsSlots ? forks : undefined;
}
