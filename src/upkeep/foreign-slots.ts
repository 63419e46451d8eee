import type { AbortOptions } from '../core/abort.ts';
import { relocationSlotName } from '../manifest/relocation-slot.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from '../records/context.ts';
import { RESERVED_NAME } from '../records/generation-slot.ts';
import { MARK_SLOT } from '../records/move-marks.ts';
import { NAMES_TABLE, openName } from '../records/name-record.ts';
import { PLACE_SLOT } from '../records/places.ts';
import { relocatedSegments } from '../records/relocations.ts';
import { readRelocationSlot } from '../records/slot-relocations.ts';
import { readIfIntact, readSlotContent } from '../records/slots.ts';

/** Slots that no name of this state has and that are opened to see whose they are. */
const MAX_OPENED = 10_000;

/** Slots at providers that this vault did not write: a vault that enters itself nowhere, as earlier versions did not, has those. */
export class ForeignSlots {
  readonly #context: RecordsContext;
  #own: Promise<Set<number>> | undefined;
  readonly #found = new Map<string, boolean>();

  constructor(context: RecordsContext) {
    this.#context = context;
  }

  /** Whether there are any; or too many to tell. Found out once for each provider. */
  async at({ id, adapter }: Provider, options: AbortOptions): Promise<boolean> {
    const known = this.#found.get(id);
    if (known !== undefined) return known;
    this.#own ??= this.#ownSlots(options);
    const own = await this.#own;
    let opened = 0;
    let found = false;
    for await (const slot of adapter.listSlots(options)) {
      if (slot === PLACE_SLOT || slot === MARK_SLOT || own.has(digitsOf(slot))) continue;
      const content = opened++ < MAX_OPENED ? await readIfIntact(adapter, slot, options) : undefined;
      found = content === undefined || !this.#isOfVault(slot, content.bytes);
      if (found) break;
    }
    this.#found.set(id, found);
    return found;
  }

  /** Slots of relocations carry no vault's name. Vaults that write them enter themselves where they store anything. */
  #isOfVault(slot: string, content: Uint8Array): boolean {
    if (readSlotContent(this.#context, content) !== undefined) return true;
    return readRelocationSlot(this.#context, slot, content) !== undefined;
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
