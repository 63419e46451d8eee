import type { BlobAddress } from '../../core/address.ts';
import type { BlobAdapter, ListOptions } from '../adapter.ts';
import { check, checkRejects, checkTime, drain } from './check.ts';
import type { Blob, CaseContext, ConformanceCase } from './context.ts';

async function storeMany(context: CaseContext): Promise<Blob[]> {
  const blobs: Blob[] = [];
  for (let at = 0; at < context.manyBlobs; at += 16) {
    const batch = Array.from({ length: Math.min(16, context.manyBlobs - at) }, (_, i) =>
      context.stored(8 + i),
    );
    blobs.push(...(await Promise.all(batch)));
  }
  return blobs;
}

const addressesOf = async (adapter: BlobAdapter, options?: ListOptions): Promise<BlobAddress[]> =>
  (await drain(adapter.list(options))).map(({ address }) => address);

const hexOf = (address: BlobAddress): string => address.slice(3);

export const listCases: readonly ConformanceCase[] = [
  {
    name: 'every blob is listed once, over more than one page, in ascending order',
    requires: 'list',
    async run(context) {
      const blobs = await storeMany(context);
      const listed = await addressesOf(context.adapter);
      check(
        listed.every((address, i) => i === 0 || listed[i - 1]! < address),
        'the listing does not ascend',
      );
      const seen = new Set(listed);
      check(seen.size === listed.length, 'something is listed twice');
      const missing = blobs.filter(({ address }) => !seen.has(address)).length;
      check(missing === 0, `${missing} of ${blobs.length} are missing`);
    },
  },
  {
    name: 'a prefix selects what starts with it',
    requires: 'list',
    async run(context) {
      const blobs = await storeMany(context);
      const { address } = blobs[0]!;
      for (const digits of [1, 2, 3, 5, 64]) {
        const prefixHex = hexOf(address).slice(0, digits);
        const listed = await addressesOf(context.adapter, { prefixHex });
        check(
          listed.every((found) => hexOf(found).startsWith(prefixHex)),
          `something does not start with ${prefixHex}`,
        );
        const expected = blobs.filter((blob) => hexOf(blob.address).startsWith(prefixHex));
        check(
          expected.every((blob) => listed.includes(blob.address)),
          `a blob under ${prefixHex} is missing`,
        );
      }
    },
  },
  {
    name: 'a listing begins behind the address it is to begin behind, which need not be there',
    requires: 'list',
    async run(context) {
      await storeMany(context);
      const all = await addressesOf(context.adapter);
      const middle = all[Math.floor(all.length / 2)]!;
      const absent = `${middle.slice(0, -1)}${middle.endsWith('f') ? '0' : 'f'}` as BlobAddress;
      for (const after of [middle, absent, all.at(-1)!]) {
        const listed = await addressesOf(context.adapter, { after });
        const expected = all.filter((address) => address > after);
        check(listed.join() === expected.join(), `${listed.length} behind ${after}, not ${expected.length}`);
        const prefixHex = hexOf(after).slice(0, 2);
        const narrowed = await addressesOf(context.adapter, { after, prefixHex, limit: 1 });
        const first = expected.find((address) => hexOf(address).startsWith(prefixHex));
        check(narrowed.join() === (first ?? ''), 'with a prefix and a limit it is another');
      }
    },
  },
  {
    name: 'a limit is kept, and may be zero',
    requires: 'list',
    async run(context) {
      await storeMany(context);
      for (const limit of [0, 1, context.manyBlobs - 1]) {
        const { length } = await addressesOf(context.adapter, { limit });
        check(length === limit, `${length} listed with a limit of ${limit}`);
      }
    },
  },
  {
    name: 'a listing left early does no harm to what follows',
    requires: 'list',
    async run(context) {
      const blobs = await storeMany(context);
      for (let round = 0; round < 4; round++) for await (const _ of context.adapter.list()) break;
      check(await context.adapter.exists(blobs[0]!.address), 'a blob is gone');
    },
  },
  {
    name: 'a deleted blob is not listed',
    requires: 'list',
    async run({ adapter, stored }) {
      const { address } = await stored(64);
      await adapter.delete(address);
      check((await drain(adapter.list({ prefixHex: hexOf(address) }))).length === 0, 'it is listed');
    },
  },
  {
    name: 'what a listing tells of a blob is what stat tells, or nothing',
    requires: 'list',
    async run({ adapter, stored }) {
      for (const size of [0, 1, 4321]) {
        const { address } = await stored(size);
        const prefixHex = hexOf(address);
        const [named, ...others] = await drain(adapter.list({ prefixHex, details: true }));
        check(named?.address === address && others.length === 0, 'it is not listed, or not alone');
        check(named?.size === undefined || named.size === size, `${named?.size} bytes instead of ${size}`);
        checkTime(named?.modifiedUnixMs);
        const { modifiedUnixMs } = await adapter.stat(address);
        const both = modifiedUnixMs !== undefined && named?.modifiedUnixMs !== undefined;
        // Some protocols tell whole seconds in the one place and finer times in the other.
        const apart = both ? Math.abs(modifiedUnixMs - named.modifiedUnixMs) : 0;
        check(apart <= 1000, `stat and list are ${apart} ms apart`);
      }
    },
  },
  {
    name: 'a prefix or limit that makes no sense is refused',
    requires: 'list',
    async run({ adapter }) {
      for (const options of [
        { prefixHex: '../' },
        { prefixHex: 'A' },
        { prefixHex: '0'.repeat(65) },
        { limit: -1 },
        { after: 'b3:abc' as BlobAddress },
      ]) {
        await checkRejects(drain(adapter.list(options)), 'Unexpected', JSON.stringify(options));
      }
    },
  },
  {
    name: 'blobs are not listed as slots, nor slots as blobs',
    requires: 'slots',
    async run({ adapter, stored, slot }) {
      const { address } = await stored(64);
      const name = slot(64);
      await adapter.writeSlot(name, Uint8Array.of(1), undefined);
      const slots = await drain(adapter.listSlots());
      check(slots.includes(name) && !slots.includes(hexOf(address)), 'listSlots is wrong');
      if (!adapter.capabilities.supportsList) return;
      const blobs = await addressesOf(adapter);
      check(!blobs.some((found) => hexOf(found) === name), 'the slot is listed as a blob');
    },
  },
];
