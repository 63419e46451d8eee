import { concatBytes } from '../../core/bytes.ts';
import { check, checkBytes, checkRejects, drain } from './check.ts';
import type { ConformanceCase } from './context.ts';

const SIZE = 10_000;

export const rangeCases: readonly ConformanceCase[] = [
  {
    name: 'ranges at the edges and in the middle hold the right bytes',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(SIZE);
      const ranges = [
        [0, 1],
        [0, SIZE],
        [SIZE - 1, 1],
        [1, SIZE - 1],
        [4095, 2],
        [1234, 4321],
      ] as const;
      for (const [offset, length] of ranges) {
        const into = new Uint8Array(length);
        await adapter.fetchRange(address, offset, [into]);
        checkBytes(into, bytes.subarray(offset, offset + length), `range ${offset}+${length}`);
      }
    },
  },
  {
    name: 'a range is scattered over the buffers in order and touches nothing else',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(SIZE);
      const shared = new Uint8Array(new SharedArrayBuffer(SIZE)).fill(7);
      const into = [
        shared.subarray(10, 11),
        shared.subarray(50, 50),
        shared.subarray(100, 4100),
        shared.subarray(5000, 5002),
      ];
      await adapter.fetchRange(address, 333, into);
      checkBytes(concatBytes(...into), bytes.subarray(333, 333 + 4003), 'scattered range');
      check(
        shared[9] === 7 && shared[11] === 7 && shared[4100] === 7 && shared[5002] === 7,
        'bytes beside were written',
      );
    },
  },
  {
    name: 'a range that ends beyond the blob is refused',
    async run({ adapter, stored }) {
      const { address } = await stored(SIZE);
      for (const [offset, length] of [
        [0, SIZE + 1],
        [SIZE - 1, 2],
        [SIZE, 1],
        [SIZE + 1, 1],
        [2 ** 40, 5],
      ] as const) {
        const range = adapter.fetchRange(address, offset, [new Uint8Array(length)]);
        await checkRejects(range, 'RangeNotSatisfiable', `range ${offset}+${length}`);
      }
    },
  },
  {
    name: 'an empty range is fine up to the end and refused beyond it',
    async run({ adapter, stored }) {
      const { address } = await stored(SIZE);
      await adapter.fetchRange(address, 0, []);
      await adapter.fetchRange(address, SIZE, [new Uint8Array()]);
      await checkRejects(adapter.fetchRange(address, SIZE + 1, []), 'RangeNotSatisfiable', 'beyond the end');
    },
  },
  {
    name: 'an offset that is no whole number from zero on is refused',
    async run({ adapter, stored }) {
      const { address } = await stored(SIZE);
      for (const offset of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
        const range = adapter.fetchRange(address, offset, [new Uint8Array(1)]);
        await checkRejects(range, 'RangeNotSatisfiable', `offset ${offset}`);
      }
    },
  },
  {
    name: 'a stream yields the window asked for',
    async run({ adapter, stored }) {
      const { bytes, address } = await stored(SIZE);
      const windows = [
        [0, undefined],
        [0, SIZE],
        [17, undefined],
        [17, 100],
        [SIZE - 1, 1],
        [SIZE, undefined],
        [5, 0],
      ] as const;
      for (const [offset, length] of windows) {
        const got = concatBytes(...(await drain(adapter.fetchStream(address, { offset, length }))));
        const end = length === undefined ? SIZE : offset + length;
        checkBytes(got, bytes.subarray(offset, end), `window ${offset}+${length}`);
      }
    },
  },
  {
    name: 'a stream whose window ends beyond the blob is refused',
    async run({ adapter, stored }) {
      const { address } = await stored(SIZE);
      const windows = [
        { offset: SIZE + 1 },
        { length: SIZE + 1 },
        { offset: 1, length: SIZE },
        { offset: -1 },
      ];
      for (const window of windows) {
        const stream = drain(adapter.fetchStream(address, window));
        await checkRejects(stream, 'RangeNotSatisfiable', JSON.stringify(window));
      }
    },
  },
  {
    name: 'a stream yields pieces of at most 1 MiB',
    async run({ adapter, stored, largeBytes }) {
      const { bytes, address } = await stored(largeBytes);
      let at = 0;
      for await (const piece of adapter.fetchStream(address)) {
        check(piece.length <= 1024 * 1024, `a piece of ${piece.length} bytes`);
        checkBytes(piece, bytes.subarray(at, at + piece.length), 'stream');
        at += piece.length;
      }
      check(at === largeBytes, `${at} bytes instead of ${largeBytes}`);
    },
  },
  {
    name: 'where the length of a blob comes with its bytes, it comes before them and is right',
    async run({ adapter, stored }) {
      if (adapter.capabilities.statesSize !== true) return;
      for (const size of [SIZE, 1, 0]) {
        const { address } = await stored(size);
        const told: number[] = [];
        const onSize = (length: number): void => void told.push(length);
        let got = 0;
        for await (const piece of adapter.fetchStream(address, { onSize })) {
          check(told.length > 0, 'a piece came before the length');
          got += piece.length;
        }
        check(told.at(-1) === size && got === size, `said ${told}, and ${got} bytes came of ${size}`);
      }
    },
  },
  {
    name: 'a stream left early does no harm to what follows',
    async run({ adapter, stored, largeBytes }) {
      const { bytes, address } = await stored(largeBytes);
      for (let round = 0; round < 12; round++) {
        for await (const piece of adapter.fetchStream(address)) {
          check(piece.length > 0, 'an empty piece');
          break;
        }
      }
      const into = new Uint8Array(10);
      await adapter.fetchRange(address, 1000, [into]);
      checkBytes(into, bytes.subarray(1000, 1010), 'range afterwards');
    },
  },
];
