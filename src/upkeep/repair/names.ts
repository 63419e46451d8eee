import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import { equalBytes } from '../../core/bytes.ts';
import { withDeadline } from '../../core/clock.ts';
import { type CopiesWanted, CopyDealer, spread } from '../../object/rendezvous.ts';
import { domainOf } from '../../placement/domains.ts';
import type { BlobAdapter, Slot } from '../../providers/adapter.ts';
import type { Provider } from '../../providers/provider.ts';
import type { RecordsContext } from '../../records/context.ts';
import {
  hashOfSealed,
  movedCopies,
  type NameClass,
  type NamePlaces,
  type NamePlacesRow,
  nameClasses,
  namesIn,
  placesOfName,
} from '../../records/name-places.ts';
import { NAMES_TABLE } from '../../records/name-record.ts';
import { queueNameOnce, readIfIntact, slotContent, withSlots } from '../../records/slots.ts';
import type { MovingContext } from '../context.ts';
import type { RepairPace } from './pace.ts';

/** What one answer may take: who does not answer is taken to have its copy still. */
const ASK_MS = 5_000;

export interface NameRepairTask extends AbortOptions {
  /** Providers whose copies do not count: they are gone for good, or are to be left. */
  readonly without: ReadonlySet<string>;
  /** Of these the copy is deleted in the end. */
  readonly leaving?: string | undefined;
  readonly pace: RepairPace;
}

export interface NameRepaired {
  /** Copies that were written, and their bytes. */
  readonly copies: number;
  readonly bytes: number;
  /** Its copies lie in too few failure domains still. */
  readonly isShort: boolean;
}

/** Names with copies at providers that do not count, those with the fewest left first: one look at each class of names. */
export async function* namesDue(
  context: RecordsContext,
  without: ReadonlySet<string>,
  options: AbortOptions,
): AsyncGenerator<NamePlaces> {
  for (const { id } of await classesDue(context, without, options)) {
    throwIfAborted(options.signal, 'repair');
    yield* namesIn(context, id, options);
  }
}

/** Classes of which a copy is lost, or too few were made, where there is somebody who could take one. */
async function classesDue(
  context: RecordsContext,
  without: ReadonlySet<string>,
  options: AbortOptions,
): Promise<NameClass[]> {
  const due: (NameClass & { readonly spare: number })[] = [];
  for await (const one of nameClasses(context, options)) {
    const { domains, isWhole } = standingOf(context, one, without);
    if (one.needed > 0 && !(isWhole && domains >= one.needed))
      due.push({ ...one, spare: domains - one.needed });
  }
  return due.sort((a, b) => a.spare - b.spare || (a.id < b.id ? -1 : 1));
}

/** What is left of the copies of a class of names. */
export function standingOf(
  { directory, policy }: Pick<RecordsContext, 'directory' | 'policy'>,
  { at }: Pick<NameClass, 'at'>,
  without: ReadonlySet<string>,
): { readonly domains: number; readonly isWhole: boolean } {
  const there = at.flatMap((id) => (without.has(id) ? [] : (directory.get(id) ?? [])));
  const domains = new Set(there.map((provider) => domainOf(provider, policy.failureDomain))).size;
  return { domains, isWhole: there.length === at.length };
}

/**
 * Brings the copies of a name back into as many failure domains as its object survives the loss of, and one more. It takes no
 * key: the sealed bytes are copied as they are, into slots that are empty, and only while some slot holds just these. So a
 * state that is behind spreads nothing that others have replaced or forgotten. What takes the key is queued.
 * @throws what the engine throws; `Aborted`.
 */
export async function repairName(
  context: MovingContext,
  nameKey: string,
  task: NameRepairTask,
): Promise<NameRepaired> {
  const nothing = { copies: 0, bytes: 0, isShort: false };
  const { row } = await placesOfName(context, nameKey, task);
  const sealed = await context.engine.table(NAMES_TABLE).get(nameKey, task);
  if (row === undefined || sealed === undefined || row.needed === 0) return nothing;
  // Whoever changed it is copying it, or a sweep does that.
  if (hashOfSealed(context, sealed) !== row.of) return { ...nothing, isShort: true };
  return new NameRepair(context, { row, sealed }, task).run();
}

class NameRepair {
  readonly #context: MovingContext;
  readonly #row: NamePlacesRow;
  readonly #sealed: Uint8Array;
  readonly #task: NameRepairTask;
  readonly #content: Uint8Array;
  /** Slots that were seen to hold just these bytes. */
  #seen = 0;
  #copies = 0;

  constructor(
    context: MovingContext,
    { row, sealed }: { readonly row: NamePlacesRow; readonly sealed: Uint8Array },
    task: NameRepairTask,
  ) {
    this.#context = context;
    this.#row = row;
    this.#sealed = sealed;
    this.#task = task;
    this.#content = slotContent(row.nameKey, sealed);
  }

  async run(): Promise<NameRepaired> {
    const { directory } = this.#context;
    const { needed, at, slot } = this.#row;
    const { without, leaving } = this.#task;
    const { eligible } = directory.forStore();
    const able = withSlots(eligible).filter(
      ({ id }) => !without.has(id) && !this.#row.leaving.includes(id) && !at.includes(id),
    );
    const known = withSlots(directory.all()).filter(({ id }) => at.includes(id) && !without.has(id));
    const copies = { needed, wanted: Math.min(known.length + able.length, needed + 1) };
    const dealer = new CopyDealer(this.#context, copies, []);
    const gone: Provider[] = [];
    const ask = async (provider: Provider): Promise<void> => {
      const holds = await this.#holds(provider);
      if (holds) dealer.answered(provider, true);
      else gone.push(provider);
    };
    // What is to be left is a witness still.
    const from = leaving === undefined ? undefined : directory.get(leaving);
    await Promise.all([...known.map(ask), from && this.#holds(from)]);
    dealer.add(spread(this.#context, slot, [...gone, ...able]));
    if (this.#seen > 0) await this.#fill(dealer, copies);
    await this.#record(dealer);
    const isShort = dealer.domains < needed;
    if (isShort) await queueNameOnce(this.#context, this.#row.nameKey, needed);
    return { copies: this.#copies, bytes: this.#copies * this.#content.length, isShort };
  }

  async #fill(dealer: CopyDealer, { needed, wanted }: CopiesWanted): Promise<void> {
    const { pace, signal } = this.#task;
    for (let next = dealer.next(); next !== undefined; next = dealer.next()) {
      // Counted, but so little that no cap is in its way.
      await pace.reserve(next.id, this.#content.length, { exempt: true, signal });
      await pace.store(this.#content.length, { signal });
      const outcome = await this.#store(next);
      dealer.answered(next, outcome !== 'no');
      if (outcome === 'stored') this.#copies++;
      if (dealer.copies >= wanted && dealer.domains >= needed) return;
    }
  }

  /** One that does not answer does: it may come back, and who is gone for good is none of those that are asked. */
  async #holds({ adapter }: Provider): Promise<boolean> {
    const there = await this.#ask('asking for a name', (signal) => this.#read(adapter, signal));
    if (there === 'silent') return true;
    const holds = there !== undefined && equalBytes(there.bytes, this.#content);
    if (holds) this.#seen++;
    return holds;
  }

  /** What holds something else is left alone: without the key nobody knows whether that is older, or a fork. */
  async #store({ adapter }: Provider): Promise<'stored' | 'held' | 'no'> {
    const { slot } = this.#row;
    const done = await this.#ask('storing a name', async (signal) => {
      const there = await this.#read(adapter, signal);
      if (there !== undefined) return equalBytes(there.bytes, this.#content) ? 'held' : 'no';
      await adapter.writeSlot(slot, this.#content, undefined, { signal });
      // An acknowledgement is no proof.
      const now = await this.#read(adapter, signal);
      return now !== undefined && equalBytes(now.bytes, this.#content) ? 'stored' : 'no';
    });
    return done === 'silent' ? 'no' : done;
  }

  #read(adapter: BlobAdapter, signal: AbortSignal): Promise<Slot | undefined> {
    return readIfIntact(adapter, this.#row.slot, { signal });
  }

  async #ask<T>(what: string, ask: (signal: AbortSignal) => Promise<T>): Promise<T | 'silent'> {
    const { signal } = this.#task;
    try {
      return await withDeadline(this.#context.clock, ASK_MS, what, ask, signal);
    } catch {
      throwIfAborted(signal, 'repair');
      return 'silent';
    }
  }

  async #record({ domains, holders }: CopyDealer): Promise<void> {
    const row = this.#row;
    const { leaving: from } = this.#task;
    const leaves = from !== undefined && row.at.includes(from) && domains >= row.needed;
    // What is to be left counts until there is enough elsewhere.
    const stays = from !== undefined && row.at.includes(from) && !leaves;
    const next = {
      needed: row.needed,
      at: stays ? [...holders, from] : holders,
      leaving: leaves ? [...row.leaving, from] : row.leaving,
    };
    const isNow = { table: NAMES_TABLE, key: row.nameKey, expected: this.#sealed };
    // Where it has changed meanwhile, whoever changed it notes that.
    await this.#context.engine.batch(movedCopies(this.#context, row, next), [...row.holds, isNow]);
  }
}
