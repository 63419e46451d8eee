import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { entryOf } from '../core/maps.ts';
import { relocationSlotName } from '../manifest/relocation-slot.ts';
import { blobKey } from '../object/relocations.ts';
import { domainOf } from '../placement/domains.ts';
import type { SlotName } from '../providers/adapter.ts';
import type { Provider } from '../providers/provider.ts';
import { RESERVED_NAME } from '../records/generation-slot.ts';
import { MARK_SLOT } from '../records/move-marks.ts';
import { NAMES_TABLE, openName } from '../records/name-record.ts';
import { PLACE_SLOT } from '../records/places.ts';
import { relocatedSegments } from '../records/relocations.ts';
import { readRelocationSlot } from '../records/slot-relocations.ts';
import { readIfIntact, readSlotContent, withSlots } from '../records/slots.ts';
import type { UpkeepContext } from './context.ts';

/** Slots that no name of this state has and that are opened to see whose they are. */
const MAX_OPENED = 10_000;

/** A slot that says where shards of a segment were moved to, of which this state has recorded nothing. */
interface ToldSlot {
  readonly slot: SlotName;
  readonly segment: BlobAddress;
}

interface SlotsAt {
  /** Not this vault's; or too many to tell. */
  readonly isForeign: boolean;
  readonly told: readonly ToldSlot[];
  /** `provider/address` of the packs that these name. */
  readonly packs: ReadonlySet<string>;
}

/**
 * Slots at providers that this state did not write. Of another vault: one that enters itself nowhere, as earlier versions did not,
 * has those. And of relocations: another home with the same key moved shards, or this one before it was lost.
 */
export class ForeignSlots {
  readonly #context: UpkeepContext;
  #own: Promise<Set<number>> | undefined;
  readonly #found = new Map<string, Promise<SlotsAt>>();

  constructor(context: UpkeepContext) {
    this.#context = context;
  }

  /** Found out once for each provider. */
  at(provider: Provider, options: AbortOptions): Promise<SlotsAt> {
    return entryOf(this.#found, provider.id, () => {
      const found = this.#look(provider, options);
      found.catch(() => this.#found.delete(provider.id));
      return found;
    });
  }

  /**
   * Packs that slots name at any provider, as `provider/address`: shards were moved there, for all that is known.
   * @returns undefined where so many could not be heard that a slot may have no copy among the others.
   */
  async packsTold(options: AbortOptions): Promise<ReadonlySet<string> | undefined> {
    const all = await this.#everywhere(options);
    return all && new Set([...all.values()].flatMap(({ packs }) => [...packs]));
  }

  /** Who has slots of relocations that this state has not recorded, by slot. @returns undefined as above. */
  async holders(options: AbortOptions): Promise<ReadonlyMap<string, ReadonlySet<string>> | undefined> {
    const all = await this.#everywhere(options);
    const holders = new Map<string, Set<string>>();
    for (const [id, { told }] of all ?? [])
      for (const { slot } of told) entryOf(holders, slot, () => new Set<string>()).add(id);
    return all && holders;
  }

  async #everywhere(options: AbortOptions): Promise<ReadonlyMap<string, SlotsAt> | undefined> {
    const { directory, policy } = this.#context;
    const all = new Map<string, SlotsAt>();
    const unheard = new Set<string>();
    const hear = async (provider: Provider): Promise<void> => {
      const label = domainOf(provider, policy.failureDomain);
      if (!directory.isResponsive(provider.id)) return void unheard.add(label);
      const found = await this.at(provider, options).catch(() => undefined);
      throwIfAborted(options.signal, 'gc');
      if (found === undefined || found.isForeign) unheard.add(label);
      if (found !== undefined) all.set(provider.id, found);
    };
    await Promise.all(withSlots(directory.all()).map(hear));
    return unheard.size > policy.minTolerates ? undefined : all;
  }

  async #look({ adapter }: Provider, options: AbortOptions): Promise<SlotsAt> {
    this.#own ??= this.#ownSlots(options);
    const own = await this.#own;
    const told: ToldSlot[] = [];
    const packs = new Set<string>();
    let opened = 0;
    for await (const slot of adapter.listSlots(options)) {
      if (slot === PLACE_SLOT || slot === MARK_SLOT || own.has(digitsOf(slot))) continue;
      const content = opened++ < MAX_OPENED ? await readIfIntact(adapter, slot, options) : undefined;
      if (content === undefined) return { isForeign: true, told, packs };
      // Vaults that write these enter themselves where they store anything.
      const moved = readRelocationSlot(this.#context, slot, content.bytes);
      if (moved !== undefined) {
        told.push({ slot, segment: moved.segment });
        for (const pack of moved.relocations.flatMap(({ record: one }) => one.packs))
          packs.add(blobKey(pack));
      } else if (readSlotContent(this.#context, content.bytes) === undefined)
        return { isForeign: true, told, packs };
    }
    return { isForeign: false, told, packs };
  }

  async #ownSlots(options: AbortOptions): Promise<Set<number>> {
    const { engine, keys, blake3 } = this.#context;
    const own = new Set([digitsOf(keys.slotName(RESERVED_NAME))]);
    for await (const segment of relocatedSegments(engine, options)) {
      own.add(digitsOf(relocationSlotName(blake3, segment)));
    }
    for await (const [key, sealed] of engine.table(NAMES_TABLE).entries(options)) {
      own.add(digitsOf(keys.slotName(openName(this.#context, sealed, key).name)));
    }
    return own;
  }
}

const digitsOf = (slot: string): number => Number.parseInt(slot.slice(0, 13), 16);
