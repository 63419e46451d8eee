import { abortable } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { toHex } from '../core/bytes.ts';
import { LISTINGS } from '../core/straggler-policies.ts';
import { Stragglers } from '../core/stragglers.ts';
import { MAX_RELOCATIONS } from '../manifest/relocation.ts';
import { relocationSlotName } from '../manifest/relocation-slot.ts';
import type { Relocation, Relocations } from '../object/relocations.ts';
import type { Provider } from '../providers/provider.ts';
import type { RecordsContext } from './context.ts';
import { recordedRelocations } from './relocations.ts';
import { readRelocationSlot, type ToldRelocation } from './slot-relocations.ts';
import { withSlots } from './slots.ts';

type ToldContext = Pick<RecordsContext, 'blake3' | 'keys' | 'clock' | 'directory'>;

/**
 * Where the slots of a segment say that shards were moved to, asked of all providers at once: those that the vault signed first,
 * then the others, each the newest first. Whoever does not answer while others do is not waited for.
 */
const toldRelocations =
  (context: ToldContext): Relocations['told'] =>
  async (segment, { signal } = {}) => {
    const { blake3, clock, directory } = context;
    const slot = relocationSlotName(blake3, segment);
    const told = new Map<string, ToldRelocation>();
    const laggards = new Stragglers(clock, LISTINGS);
    const ask = async ({ adapter }: Provider): Promise<void> => {
      const turn = laggards.begin(signal, 'get', () => {});
      const started = clock.monotonic();
      try {
        const there = await abortable(adapter.readSlot(slot, { signal: turn.signal }), turn.signal);
        turn.progressed(clock.monotonic() - started);
        const found = there && readRelocationSlot(context, slot, there.bytes);
        for (const one of found?.relocations ?? []) {
          const key = toHex(blake3.hash(one.bytes));
          if (told.get(key)?.signed !== true) told.set(key, one);
        }
      } catch {
        // What it knows, others may know too.
      } finally {
        turn.end();
      }
    };
    const asked = withSlots(directory.all()).filter(({ id }) => directory.isResponsive(id));
    try {
      await Promise.all(asked.map(ask));
    } finally {
      laggards.close();
    }
    return [true, false].flatMap((signed) => newestOf([...told.values()], signed, segment));
  };

const newestOf = (told: readonly ToldRelocation[], signed: boolean, segment: BlobAddress): Relocation[] =>
  told
    .filter((one) => one.signed === signed && one.record.segment === segment)
    .sort((a, b) => b.record.movedMs - a.record.movedMs)
    .slice(0, MAX_RELOCATIONS)
    .map(({ record }) => ({ ...record, recorded: false }));

/** Where shards were moved to: what the engine has, and, for who asks for it, what the providers say. */
export const relocationsOf = (context: ToldContext & Pick<RecordsContext, 'engine'>): Relocations => ({
  ...recordedRelocations(context.engine, context.clock),
  told: toldRelocations(context),
});
