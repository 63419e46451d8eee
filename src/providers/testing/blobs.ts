import type { BlobAddress } from '../../core/address.ts';
import type { BlobAdapter } from '../adapter.ts';
import { check, checkBytes, checkRejects, checkTime, drain } from './check.ts';
import type { ConformanceCase } from './context.ts';

/** Every method that takes an address, called with it. */
export const callsWith = (
  adapter: BlobAdapter,
  address: BlobAddress,
  signal?: AbortSignal,
): Record<string, () => Promise<unknown>> => {
  const bytes = Uint8Array.of(1);
  return {
    store: () => adapter.store(address, [bytes], { signal }),
    storeStream: () => adapter.storeStream(address, one(bytes), { signal }),
    fetch: () => adapter.fetch(address, { signal }),
    fetchRange: () => adapter.fetchRange(address, 0, [new Uint8Array(1)], { signal }),
    fetchStream: () => drain(adapter.fetchStream(address, { signal })),
    exists: () => adapter.exists(address, { signal }),
    delete: () => adapter.delete(address, { signal }),
    stat: () => adapter.stat(address, { signal }),
  };
};

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const sizeCase = (name: string, size: number): ConformanceCase => ({
  name,
  async run({ adapter, blob }) {
    const { bytes, address } = blob(size);
    const { existed } = await adapter.store(address, [bytes]);
    check(!existed, 'a new blob is said to have existed');
    checkBytes(await adapter.fetch(address), bytes, 'fetch');
    check((await adapter.stat(address)).size === size, 'stat tells another size');
  },
});

export const blobCases: readonly ConformanceCase[] = [
  sizeCase('an empty blob comes back', 0),
  sizeCase('a blob of one byte comes back', 1),
  sizeCase('a blob of odd length comes back byte for byte', 70_001),
  {
    name: 'a large blob comes back byte for byte',
    async run({ adapter, blob, largeBytes }) {
      const { bytes, address } = blob(largeBytes);
      await adapter.store(address, [bytes.subarray(0, 1000), bytes.subarray(1000)]);
      checkBytes(await adapter.fetch(address, { maxBytes: largeBytes }), bytes, 'fetch');
    },
  },
  {
    name: 'a blob given as thousands of pieces, some empty, is joined in order',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(9000);
      const parts = Array.from({ length: 3000 }, (_, i) => bytes.subarray(3 * i, 3 * i + 3));
      await adapter.store(address, [new Uint8Array(), ...parts, new Uint8Array()]);
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'pieces may lie in shared memory, and be overwritten once the store has settled',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(50_000);
      const shared = new Uint8Array(new SharedArrayBuffer(60_000));
      shared.set(bytes, 5000);
      await adapter.store(address, [shared.subarray(5000, 20_000), shared.subarray(20_000, 55_000)]);
      shared.fill(0);
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'a fetched buffer belongs to the caller',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(1000);
      (await adapter.fetch(address)).fill(0);
      checkBytes(await adapter.fetch(address), bytes, 'second fetch');
    },
  },
  {
    name: 'storing what is there says so and changes nothing',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(5000);
      const again = await adapter.store(address, [bytes]);
      check(again.existed, 'a blob that is there is said to be new');
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'concurrent stores of one blob all succeed',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(100_000);
      await Promise.all(Array.from({ length: 8 }, () => adapter.store(address, [bytes])));
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'concurrent stores and reads of many blobs do not mix them up',
    async run({ adapter, blob }) {
      const blobs = Array.from({ length: 16 }, (_, i) => blob(1000 + i));
      await Promise.all(
        blobs.map(async ({ address, bytes }) => {
          await adapter.store(address, [bytes]);
          checkBytes(await adapter.fetch(address), bytes, 'fetch');
        }),
      );
    },
  },
  {
    name: 'a blob above the cap is refused before anything is sent',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(1024 * 1024);
      const count = Math.floor(adapter.capabilities.maxBlobBytes / bytes.length) + 1;
      const parts = new Array<Uint8Array>(count).fill(bytes);
      await checkRejects(adapter.store(address, parts), 'RangeNotSatisfiable', 'store');
      check(!(await adapter.exists(address)), 'something was stored');
    },
  },
  {
    name: 'what is not there is NotFound, or false, everywhere',
    async run({ adapter, blob }) {
      const { address } = blob(10);
      const calls = callsWith(adapter, address);
      for (const name of ['fetch', 'fetchRange', 'fetchStream', 'stat']) {
        await checkRejects(calls[name]!(), 'NotFound', name);
      }
      await checkRejects(adapter.fetchRange(address, 0, []), 'NotFound', 'fetchRange of nothing');
      check(!(await adapter.exists(address)), 'exists says true');
    },
  },
  {
    name: 'fetch stops at maxBytes',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(2000);
      await checkRejects(adapter.fetch(address, { maxBytes: 1999 }), 'RangeNotSatisfiable', 'one byte less');
      checkBytes(await adapter.fetch(address, { maxBytes: 2000 }), bytes, 'exactly as many');
    },
  },
  {
    name: 'exists and stat know a blob that is there',
    async run({ adapter, stored }) {
      const { address } = await stored(321);
      check(await adapter.exists(address), 'exists says false');
      const stat = await adapter.stat(address);
      check(stat.size === 321, 'stat tells another size');
      checkTime(stat.modifiedUnixMs);
    },
  },
  {
    name: 'a deleted blob is gone, and can be stored again',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(400);
      await adapter.delete(address);
      check(!(await adapter.exists(address)), 'it still exists');
      await checkRejects(adapter.fetch(address), 'NotFound', 'fetch');
      check(!(await adapter.store(address, [bytes])).existed, 'the second store says it existed');
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'deleting what is not there resolves, also twice at once',
    async run({ adapter, blob, stored }) {
      await adapter.delete(blob(10).address);
      const { address } = await stored(10);
      await Promise.all([adapter.delete(address), adapter.delete(address)]);
      check(!(await adapter.exists(address)), 'it still exists');
    },
  },
  {
    name: 'an address of another scheme is refused by every method',
    async run({ adapter }) {
      const foreign = `sha256:${'0'.repeat(64)}` as BlobAddress;
      for (const [name, call] of Object.entries(callsWith(adapter, foreign))) {
        await checkRejects(call(), 'UnsupportedScheme', name);
      }
    },
  },
  {
    name: 'a malformed address is refused by every method',
    async run({ adapter }) {
      for (const text of ['b3:../../../../etc/passwd', `b3:${'A'.repeat(64)}`, `b3:${'0'.repeat(63)}`, '']) {
        for (const [name, call] of Object.entries(callsWith(adapter, text as BlobAddress))) {
          await checkRejects(call(), 'Corrupt', `${name} of "${text}"`);
        }
      }
    },
  },
  {
    name: 'a probe answers with a round trip',
    async run({ adapter }) {
      const { rttMs, freeBytes } = await adapter.probe();
      check(Number.isFinite(rttMs) && rttMs >= 0, `a round trip of ${rttMs} ms`);
      check(freeBytes === undefined || freeBytes >= 0, `${freeBytes} bytes free`);
    },
  },
  {
    name: 'after close every method rejects, and closing again resolves',
    async run({ adapter, blob, slot }) {
      const { address } = blob(1);
      const name = slot();
      const calls = {
        ...callsWith(adapter, address),
        probe: () => adapter.probe(),
        readSlot: () => adapter.readSlot(name),
      };
      await adapter.close();
      await adapter.close();
      for (const [method, call] of Object.entries(calls)) {
        await checkRejects(call(), ['Unavailable', 'PermissionDenied'], method);
      }
    },
  },
];
