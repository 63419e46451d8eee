import { type AbortOptions, abortable } from '../core/abort.ts';
import { toHex, utf8Decode, utf8Encode } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { POINTER_WRITES } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import type { BlobAdapter, SlotName } from '../providers/adapter.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import { RESERVED_NAME } from './generation-slot.ts';
import { hasUnknownMoves, MARK_SLOT } from './move-marks.ts';
import { readIfIntact, readSlotContent, withSlots } from './slots.ts';

/**
 * The slot that says which vaults use a place: the same for all of them, so that each finds what the others wrote. It is
 * the BLAKE3 hash of `holdfast place owners`.
 */
export const PLACE_SLOT: SlotName = 'ab93fd56e3d15c7d65e7cb28745a2cda3e01f25efdafb1c13353281b77a04d8d';
/** Where more use a place, the others need no entry: it is nobody's own anyway. */
const MAX_VAULTS = 64;
const PLACES_TABLE = 'places';
/**
 * That this vault stands in a place's slot is believed for so long: less than the youngest age at which `gc` deletes,
 * for a provider may have been pointed at another place.
 */
const ENTERED_FOR_MS = 12 * 3_600_000;
/** Another vault's entry may come between so often. */
const MAX_ROUNDS = 8;

/** Which vaults use a place. */
interface PlaceRecord {
  /** What the place is told apart by, whatever providers lead to it. */
  readonly place: string;
  /** Public ids. */
  readonly vaults: readonly string[];
  /** Whether it held nothing at all when the first of them came. */
  readonly wasEmpty: boolean;
}

/** Sees to it that everybody can tell whose blobs are at a place. */
export interface Places {
  /**
   * Enters this vault at the providers; to be waited for before the first blob goes there. Nearly always that was done
   * before, and nothing is sent. One that is late or fails is passed over and tried again next time. Never rejects.
   */
  enter(providers: readonly Provider[], options?: AbortOptions): Promise<void>;
}

export interface WithPlaces {
  readonly places: Places;
}

/** Whether nobody else's blobs can be at a place, as far as the vaults say that use it. */
export const isSoleOwner = (record: PlaceRecord | undefined, vault: string): boolean =>
  record?.wasEmpty === true && record.vaults.length === 1 && record.vaults[0] === vault;

const VAULT_ID = /^[0-9a-f]{16}$/;
const PLACE_ID = /^[0-9a-f]{32}$/;

/** Undefined for what is damaged, or what a later version wrote: whose the place is cannot be told then. */
function decodePlace(bytes: Uint8Array): PlaceRecord | undefined {
  try {
    const {
      v,
      place,
      vaults,
      was_empty: wasEmpty,
    } = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
    const whole =
      v === 1 &&
      typeof place === 'string' &&
      PLACE_ID.test(place) &&
      Array.isArray(vaults) &&
      vaults.length > 0 &&
      vaults.length <= MAX_VAULTS &&
      vaults.every((id) => typeof id === 'string' && VAULT_ID.test(id)) &&
      typeof wasEmpty === 'boolean';
    return whole ? { place, vaults, wasEmpty } : undefined;
  } catch {
    return undefined;
  }
}

const encodePlace = ({ place, vaults, wasEmpty }: PlaceRecord): Uint8Array =>
  utf8Encode(JSON.stringify({ v: 1, place, vaults, was_empty: wasEmpty }));

/** What the slot of a place says. @returns undefined where it says nothing that can be understood. */
export async function readPlace(
  adapter: BlobAdapter,
  options: AbortOptions = {},
): Promise<PlaceRecord | undefined> {
  if (!adapter.capabilities.supportsSlots) return undefined;
  const slot = await adapter.readSlot(PLACE_SLOT, options);
  return slot && decodePlace(slot.bytes);
}

type PlacesContext = Pick<RecordsContext, 'engine' | 'keys' | 'random' | 'clock' | 'directory'>;

export function createPlaces(context: PlacesContext): Places {
  const { engine, clock, directory } = context;
  const table = engine.table(PLACES_TABLE);
  /** Provider → when it was seen that this vault stands in its place's slot. */
  const entered = new Map<string, number>();
  const hasEntered = (id: string): boolean => {
    const age = clock.now() - (entered.get(id) ?? Number.NEGATIVE_INFINITY);
    return age >= 0 && age < ENTERED_FOR_MS;
  };
  const recall = async (options: AbortOptions): Promise<void> => {
    // One that is damaged is asked for anew.
    const all = { ...options, limit: MAX_RECALLED, onDamaged: () => {} };
    for await (const [id, value] of table.entries(all)) {
      const seenMs = Number(utf8Decode(value));
      if (Number.isSafeInteger(seenMs)) entered.set(id, seenMs);
    }
  };

  const enterOne = async (provider: Provider, signal: AbortSignal): Promise<void> => {
    const { id } = provider;
    const nowMs = clock.now();
    await enter(context, provider, signal);
    entered.set(id, nowMs);
    await table.put(id, utf8Encode(String(nowMs)));
  };

  return {
    async enter(providers, options = {}) {
      const able = withSlots(providers);
      const isOpen = ({ id }: Provider): boolean => !hasEntered(id) && directory.isResponsive(id);
      if (!able.some(isOpen)) return;
      await recall(options).catch(() => {});
      const open = able.filter(isOpen);
      if (open.length === 0) return;
      const laggards = new Stragglers(clock, POINTER_WRITES);
      const attempt = async (provider: Provider): Promise<void> => {
        const turn = laggards.begin(options.signal, 'put');
        const startedMs = clock.monotonic();
        try {
          await abortable(enterOne(provider, turn.signal), turn.signal, 'put');
          turn.progressed(clock.monotonic() - startedMs);
        } catch {
          // Not entered: the place is not this vault's own, and the next put tries again.
        } finally {
          turn.end();
        }
      };
      try {
        await Promise.all(open.map(attempt));
      } finally {
        laggards.close();
      }
    },
  };
}

/** More than there can be providers. */
const MAX_RECALLED = 1024;

/** @throws what the provider throws. */
async function enter(context: PlacesContext, provider: Provider, signal: AbortSignal): Promise<void> {
  const { keys, random } = context;
  const { adapter } = provider;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const slot = await adapter.readSlot(PLACE_SLOT, { signal });
    const record = slot && decodePlace(slot.bytes);
    // What cannot be understood is nobody's, and stays.
    if (slot !== undefined && record === undefined) return;
    if (record?.vaults.includes(keys.id) || record?.vaults.length === MAX_VAULTS) return;
    const next = record ?? {
      place: toHex(random(16)),
      vaults: [],
      wasEmpty: await isEmpty(context, provider, signal),
    };
    const bytes = encodePlace({ ...next, vaults: [...next.vaults, keys.id] });
    try {
      await adapter.writeSlot(PLACE_SLOT, bytes, slot?.version, { signal });
      return;
    } catch (error) {
      if (!isHoldfastError(error, 'Conflict')) throw error;
    }
  }
}

/** Slots that are looked at to see whose they are. */
const MAX_OPENED = 256;

/**
 * No blob, and no slot of another: a vault of an earlier version, which enters itself nowhere, has left one or the other. What
 * this vault writes of its names, and of shards that are moved, may be there before its first blob.
 */
async function isEmpty(context: PlacesContext, provider: Provider, signal: AbortSignal): Promise<boolean> {
  const { adapter } = provider;
  if (!adapter.capabilities.supportsList) return false;
  for await (const _ of adapter.list({ limit: 1, signal })) return false;
  const generation = context.keys.slotName(RESERVED_NAME);
  let looked = 0;
  for await (const slot of adapter.listSlots({ limit: MAX_OPENED + 1, signal })) {
    if (++looked > MAX_OPENED) return false;
    // Nobody else has one of that name.
    if (slot === generation) continue;
    if (slot === MARK_SLOT) {
      if (await hasUnknownMoves(context, provider, { signal })) return false;
      continue;
    }
    const content = await readIfIntact(adapter, slot, { signal });
    if (content === undefined || readSlotContent(context, content.bytes) === undefined) return false;
  }
  return true;
}
