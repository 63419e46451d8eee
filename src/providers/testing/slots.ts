import { isHoldfastError } from '../../core/errors.ts';
import { type BlobAdapter, MAX_SLOT_BYTES, type SlotName } from '../adapter.ts';
import { check, checkBytes, checkRejects, drain } from './check.ts';
import type { ConformanceCase } from './context.ts';

const requires = 'slots';
const content = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);

/** Adds one, as any number of writers at once must be able to. Bounded, so that a livelock fails. */
async function increment(adapter: BlobAdapter, name: SlotName, attempts: number): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const slot = await adapter.readSlot(name);
    try {
      await adapter.writeSlot(name, content((slot?.bytes[0] ?? 0) + 1), slot?.version);
      return;
    } catch (error) {
      if (!isHoldfastError(error, 'Conflict')) throw error;
    }
  }
  throw new Error(`no write succeeded in ${attempts} attempts`);
}

export const slotCases: readonly ConformanceCase[] = [
  {
    name: 'a slot that was never written is undefined',
    requires,
    async run({ adapter, slot }) {
      check((await adapter.readSlot(slot())) === undefined, 'it is not undefined');
    },
  },
  {
    name: 'a slot is written, read and replaced under its version',
    requires,
    async run({ adapter, slot }) {
      for (const name of [slot(16), slot(128)]) {
        const first = await adapter.writeSlot(name, content(1, 2, 3), undefined);
        const read = await adapter.readSlot(name);
        checkBytes(read!.bytes, content(1, 2, 3), 'first content');
        check(read!.version === first, 'the version read is not the one returned');
        const second = await adapter.writeSlot(name, content(1, 2, 3), first);
        check(second !== first, 'another write of the same bytes has the same version');
        await adapter.writeSlot(name, content(4), second);
        checkBytes((await adapter.readSlot(name))!.bytes, content(4), 'third content');
      }
    },
  },
  {
    name: 'a stale or wrong version is a Conflict and changes nothing',
    requires,
    async run({ adapter, slot }) {
      const name = slot();
      await checkRejects(
        adapter.writeSlot(name, content(9), 'no such version'),
        'Conflict',
        'slot not there',
      );
      check((await adapter.readSlot(name)) === undefined, 'the refused write made the slot');
      const first = await adapter.writeSlot(name, content(1), undefined);
      await checkRejects(adapter.writeSlot(name, content(9), undefined), 'Conflict', 'slot already there');
      const second = await adapter.writeSlot(name, content(2), first);
      await checkRejects(adapter.writeSlot(name, content(9), first), 'Conflict', 'stale version');
      const read = await adapter.readSlot(name);
      checkBytes(read!.bytes, content(2), 'content');
      check(read!.version === second, 'the version changed');
    },
  },
  {
    name: 'a slot holds nothing and 64 KiB, and no byte more',
    requires,
    async run({ adapter, slot, blob }) {
      const name = slot();
      const empty = await adapter.writeSlot(name, new Uint8Array(), undefined);
      check((await adapter.readSlot(name))!.bytes.length === 0, 'it is not empty');
      const { bytes } = blob(MAX_SLOT_BYTES);
      const full = await adapter.writeSlot(name, bytes, empty);
      checkBytes((await adapter.readSlot(name))!.bytes, bytes, 'largest content');
      const over = adapter.writeSlot(name, new Uint8Array(MAX_SLOT_BYTES + 1), full);
      await checkRejects(over, 'RangeNotSatisfiable', 'one byte more');
      check((await adapter.readSlot(name))!.version === full, 'the refused write changed it');
    },
  },
  {
    name: 'a deleted slot is gone, can be written anew, and its old version stays dead',
    requires,
    async run({ adapter, slot }) {
      const name = slot();
      await adapter.deleteSlot(name);
      const version = await adapter.writeSlot(name, content(1), undefined);
      await adapter.deleteSlot(name);
      await adapter.deleteSlot(name);
      check((await adapter.readSlot(name)) === undefined, 'it is still there');
      await checkRejects(adapter.writeSlot(name, content(2), version), 'Conflict', 'old version');
      const again = await adapter.writeSlot(name, content(1), undefined);
      check(again !== version, 'the old version is valid again');
    },
  },
  {
    name: 'of writers with the same expectation exactly one wins',
    requires,
    async run({ adapter, slot }) {
      const name = slot();
      let expected: string | undefined;
      for (let round = 0; round < 4; round++) {
        const writes = Array.from({ length: 8 }, (_, i) =>
          adapter.writeSlot(name, content(round, i), expected),
        );
        const results = await Promise.allSettled(writes);
        const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
        check(winners.length === 1, `${winners.length} of 8 writers won`);
        for (const result of results) {
          if (result.status === 'rejected')
            await checkRejects(Promise.reject(result.reason), 'Conflict', 'a loser');
        }
        const read = await adapter.readSlot(name);
        checkBytes(read!.bytes, content(round, winners[0]!), 'content');
        expected = read!.version;
      }
    },
  },
  {
    name: 'concurrent increments are all counted',
    requires,
    async run({ adapter, slot }) {
      const name = slot();
      const writers = Array.from({ length: 4 }, async () => {
        for (let i = 0; i < 5; i++) await increment(adapter, name, 100);
      });
      await Promise.all(writers);
      check((await adapter.readSlot(name))!.bytes[0] === 20, 'increments were lost');
    },
  },
  {
    name: 'slots are listed until deleted',
    requires,
    async run({ adapter, slot }) {
      const names = [slot(), slot(16), slot(128)];
      for (const name of names) await adapter.writeSlot(name, content(1), undefined);
      const listed = await drain(adapter.listSlots());
      check(
        listed.every((name, i) => i === 0 || listed[i - 1]! < name),
        'the listing does not ascend',
      );
      check(
        names.every((name) => listed.includes(name)),
        'a slot is missing',
      );
      for (const after of names) {
        const behind = listed.filter((name) => name > after);
        check(
          (await drain(adapter.listSlots({ after }))).join() === behind.join(),
          `behind ${after} it differs`,
        );
        const first = await drain(adapter.listSlots({ after, limit: 1 }));
        check(first.join() === behind.slice(0, 1).join(), 'a limit is not kept');
      }
      await adapter.deleteSlot(names[0]!);
      check(!(await drain(adapter.listSlots())).includes(names[0]!), 'a deleted slot is listed');
    },
  },
  {
    name: 'a name that is no slot name is refused',
    requires,
    async run({ adapter }) {
      for (const name of ['', '../../etc/passwd', 'ABCDEF0123456789', '0'.repeat(15), '0'.repeat(129)]) {
        await checkRejects(adapter.readSlot(name), 'Unexpected', `readSlot "${name}"`);
        await checkRejects(
          adapter.writeSlot(name, content(1), undefined),
          'Unexpected',
          `writeSlot "${name}"`,
        );
        await checkRejects(adapter.deleteSlot(name), 'Unexpected', `deleteSlot "${name}"`);
      }
    },
  },
];

/** What an adapter that states it has no slots, or no listing, must answer. */
export const refusalCases: readonly ConformanceCase[] = [
  {
    name: 'what the capabilities deny is refused as unsupported',
    async run({ adapter, slot }) {
      const { supportsSlots, supportsList } = adapter.capabilities;
      const name = slot();
      const calls = [
        ...(supportsList ? [] : [() => drain(adapter.list())]),
        ...(supportsSlots ? [] : [() => adapter.readSlot(name), () => drain(adapter.listSlots())]),
        ...(supportsSlots
          ? []
          : [() => adapter.writeSlot(name, content(1), undefined), () => adapter.deleteSlot(name)]),
      ];
      for (const call of calls) {
        const error = await checkRejects(call(), 'PermissionDenied', 'unsupported call');
        check(error.code === 'unsupported', `the code is ${error.code}`);
      }
    },
  },
];
