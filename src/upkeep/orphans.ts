import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { asHoldfastError, type HoldfastError } from '../core/errors.ts';
import { relocationSlotName } from '../manifest/relocation-slot.ts';
import type { BlobEntry } from '../providers/adapter.ts';
import type { Provider } from '../providers/provider.ts';
import { claimedAmong } from '../records/claims.ts';
import type { RecordsContext } from '../records/context.ts';
import { deleteOrQueue } from '../records/deletes.ts';
import { generationOf } from '../records/generation.ts';
import { intendedAmong } from '../records/intents.ts';
import { hasUnknownMoves } from '../records/move-marks.ts';
import { movedAmong } from '../records/move-rows.ts';
import { isSoleOwner, readPlace } from '../records/places.ts';
import { storedRelocations } from '../records/relocations.ts';
import type { ForeignSlots } from './foreign-slots.ts';
import { type Reachable, reach } from './reachable.ts';

/** Why blobs that nobody needs were left where they are. */
export type WhyKept =
  /** Another vault uses the place or may have used it, or nothing tells who does. */
  | 'shared'
  /** The same blob is needed at another provider that does not have it, or of which it cannot be told. */
  | 'needed'
  /** Shards were moved there by a state that this one does not know of: an older copy, another home, or one that was lost. */
  | 'moved'
  /** Too few providers said whether this state is the latest. */
  | 'unconfirmed'
  /** The providers know of changes that this state has not seen. */
  | 'behind'
  /** Manifests could not be read, so what they lead to is not known. */
  | 'unread'
  /** The state was recovered, and not every provider could be listed since: objects without a name may not be known. */
  | 'unlisted';

/** What one provider has that no record of this vault leads to. */
export interface ProviderOrphans {
  readonly provider: string;
  readonly listed: number;
  /** Blobs that nothing leads to and that are too young to be judged, or of which it is not told how old they are. */
  readonly young: number;
  /** Blobs that nothing leads to, and how long they are together, as far as that is told. */
  readonly orphans: number;
  readonly bytes: number;
  /** Of them, those that were deleted now, and those that are deleted later, for the provider did not answer. */
  readonly deleted: number;
  readonly queued: number;
  /** Undefined: nothing was, or it is a dry run. */
  readonly kept: WhyKept | undefined;
  /** Why the listing is not whole, if it is not: what is counted was seen before. */
  readonly error: HoldfastError | undefined;
}

export interface ScrubOptions extends AbortOptions {
  readonly dryRun: boolean;
  readonly minAgeMs: number;
  /** Objects without a name may not be known. */
  readonly unlisted: boolean;
  readonly onListed: () => void;
}

/** Blobs that are judged, and deleted, at once. */
const BATCH = 512;

/** Counts at one provider, added up over the parts of the listing. */
export class OrphanSearch {
  readonly #context: RecordsContext;
  readonly #provider: Provider;
  readonly #foreign: ForeignSlots;
  readonly #options: ScrubOptions;
  readonly #sum = { listed: 0, young: 0, orphans: 0, bytes: 0, deleted: 0, queued: 0 };
  #kept: WhyKept | undefined;
  #error: HoldfastError | undefined;

  constructor(context: RecordsContext, provider: Provider, foreign: ForeignSlots, options: ScrubOptions) {
    this.#context = context;
    this.#provider = provider;
    this.#foreign = foreign;
    this.#options = options;
  }

  get result(): ProviderOrphans {
    return { provider: this.#provider.id, ...this.#sum, kept: this.#kept, error: this.#error };
  }

  /** Lists the part that `reachable` covers. What fails is a result, not an error. @throws Aborted. */
  async part(reachable: Reachable): Promise<void> {
    const { signal } = this.#options;
    let found: BlobEntry[] = [];
    try {
      for await (const entry of this.#provider.adapter.list({
        details: true,
        after: reachable.after,
        signal,
      })) {
        if (!reachable.covers(entry.address)) break;
        this.#sum.listed++;
        this.#options.onListed();
        if (reachable.holds(this.#provider.id, entry.address)) continue;
        found.push(entry);
        if (found.length < BATCH) continue;
        await this.#judge(found, reachable);
        found = [];
      }
      await this.#judge(found, reachable);
    } catch (error) {
      throwIfAborted(signal, 'gc');
      this.#error ??= asHoldfastError(error);
    }
  }

  /**
   * All of these were listed before. Whoever stored one had noted it first, and whoever was done had made its manifest
   * visible first: so what neither a journal names now nor a manifest, read in this order, is nobody's.
   */
  async #judge(found: readonly BlobEntry[], reachable: Reachable): Promise<void> {
    if (found.length === 0) return;
    const { id } = this.#provider;
    const { signal } = this.#options;
    const keys = new Set(found.map(({ address }) => `${id}/${address}`));
    const spoken = await intendedAmong(this.#context, keys, { signal });
    for (const key of await claimedAmong(this.#context, keys, { signal })) spoken.add(key);
    // A manifest that was walked before is not walked again: what it leads to may have been moved since.
    for (const key of await movedAmong(this.#context.engine, keys)) spoken.add(key);
    await reach(this.#context, reachable, { signal });
    const orphans: BlobEntry[] = [];
    for (const entry of found) {
      if (spoken.has(`${id}/${entry.address}`) || reachable.holds(id, entry.address)) continue;
      if (this.#isOld(entry)) orphans.push(entry);
      else this.#sum.young++;
    }
    this.#sum.orphans += orphans.length;
    for (const { size } of orphans) this.#sum.bytes += size ?? 0;
    if (orphans.length === 0 || this.#options.dryRun) return;
    const why = await this.#whyKept(reachable);
    if (why !== undefined) this.#kept = why;
    else await this.#delete(orphans, reachable);
  }

  #isOld({ modifiedUnixMs }: BlobEntry): boolean {
    const { minAgeMs } = this.#options;
    if (minAgeMs === 0) return true;
    return modifiedUnixMs !== undefined && this.#context.clock.now() - modifiedUnixMs >= minAgeMs;
  }

  /** Deletes slots that say where shards of segments were moved to that no object has any more. */
  async dropSlots(reachable: Reachable): Promise<void> {
    const { signal, dryRun } = this.#options;
    const { engine, blake3 } = this.#context;
    if (dryRun || !this.#provider.adapter.capabilities.supportsSlots) return;
    try {
      const { told } = await this.#foreign.at(this.#provider, { signal });
      const left = told.filter(({ segment }) => reachable.covers(segment) && !reachable.hasNode(segment));
      if (left.length === 0 || (await this.#whyKept(reachable)) !== undefined) return;
      for (const { segment } of left) {
        if ((await storedRelocations(engine, segment, { signal })).keys.length > 0) continue;
        const slot = relocationSlotName(blake3, segment);
        await this.#provider.adapter.deleteSlot(slot, { signal, forget: true });
      }
    } catch {
      // They are in nobody's way.
      throwIfAborted(signal, 'gc');
    }
  }

  /** Asked anew for every batch, after it was listed: a vault that comes enters itself before it stores anything. */
  async #whyKept(reachable: Reachable): Promise<WhyKept | undefined> {
    const { signal } = this.#options;
    if (this.#options.unlisted) return 'unlisted';
    if (reachable.unread.size > 0) return 'unread';
    const place = await readPlace(this.#provider.adapter, { signal });
    if (!isSoleOwner(place, this.#context.keys.id)) return 'shared';
    if ((await this.#foreign.at(this.#provider, { signal })).isForeign) return 'shared';
    if (await hasUnknownMoves(this.#context, this.#provider, { signal })) return 'moved';
    const generation = generationOf(this.#context);
    // What was heard before these were listed says nothing of who stored them.
    await generation.heads({ signal });
    const { state } = await generation.standing({ signal });
    return state === 'confirmed' ? undefined : state;
  }

  async #delete(orphans: readonly BlobEntry[], reachable: Reachable): Promise<void> {
    const blobs: { provider: string; address: BlobAddress; bytes: number }[] = [];
    const told = await this.#foreign.packsTold({ signal: this.#options.signal });
    for (const { address } of orphans) {
      if (told === undefined || told.has(`${this.#provider.id}/${address}`)) this.#kept = 'moved';
      else if (await this.#isSpare(address, reachable)) {
        blobs.push({ provider: this.#provider.id, address, bytes: 0 });
      } else this.#kept = 'needed';
    }
    const { signal } = this.#options;
    const queued = await deleteOrQueue(this.#context, blobs, { signal });
    this.#sum.queued += queued;
    this.#sum.deleted += blobs.length - queued;
  }

  /**
   * Whether a blob that is needed at other providers is one too many here: the others have theirs, in places of their own.
   * Were two providers exchanged in the configuration, or one given another name, it would be the only one.
   */
  async #isSpare(address: BlobAddress, reachable: Reachable): Promise<boolean> {
    const { signal } = this.#options;
    const needed = reachable.neededAt(address);
    if (needed.length === 0) return true;
    const here = await readPlace(this.#provider.adapter, { signal });
    for (const id of needed) {
      const adapter = this.#context.directory.get(id)?.adapter;
      if (adapter === undefined || here === undefined) return false;
      const there = await readPlace(adapter, { signal }).catch(() => undefined);
      if (there === undefined || there.place === here.place) return false;
      if (!(await adapter.exists(address, { signal }).catch(() => false))) return false;
    }
    return true;
  }
}
