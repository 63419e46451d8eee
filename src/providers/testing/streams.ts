import { check, checkBytes, checkRejects, drain, eventually, piecesOf } from './check.ts';
import type { ConformanceCase } from './context.ts';

export const streamCases: readonly ConformanceCase[] = [
  {
    name: 'a stream of unknown length and address is stored under its hash',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(123_457);
      const result = await adapter.storeStream(undefined, piecesOf(bytes, 10_000));
      check(result.address === address, 'another address was computed');
      check(result.size === bytes.length && !result.existed, 'size or existed is wrong');
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'a stream with its address is stored, and existed the second time',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(50_000);
      check(!(await adapter.storeStream(address, piecesOf(bytes, 7777))).existed, 'the first existed');
      check(
        (await adapter.storeStream(address, piecesOf(bytes, 50_000))).existed,
        'the second did not exist',
      );
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'a large stream is stored with and without its address',
    async run({ adapter, blob, largeBytes }) {
      for (const known of [true, false]) {
        const { bytes, address } = blob(largeBytes);
        const result = await adapter.storeStream(known ? address : undefined, piecesOf(bytes, 300_000));
        check(result.address === address && result.size === largeBytes, 'address or size is wrong');
        checkBytes(await adapter.fetch(address, { maxBytes: largeBytes }), bytes, 'fetch');
      }
    },
  },
  {
    name: 'an empty stream is the empty blob',
    async run({ adapter, addressOf }) {
      const address = addressOf(new Uint8Array());
      const result = await adapter.storeStream(undefined, piecesOf(new Uint8Array(), 1));
      check(result.address === address && result.size === 0, 'address or size is wrong');
      check((await adapter.fetch(address)).length === 0, 'it is not empty');
    },
  },
  {
    name: 'a stream of single bytes is joined',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(3000);
      await adapter.storeStream(address, piecesOf(bytes, 1));
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'a source may reuse its buffer for every piece',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(100_000);
      async function* reusing(): AsyncGenerator<Uint8Array> {
        const buffer = new Uint8Array(1000);
        for (let at = 0; at < bytes.length; at += buffer.length) {
          buffer.set(bytes.subarray(at, at + buffer.length));
          yield buffer;
        }
      }
      await adapter.storeStream(undefined, reusing());
      checkBytes(await adapter.fetch(address), bytes, 'fetch');
    },
  },
  {
    name: 'a stream with the wrong hash is refused and leaves nothing',
    async run({ adapter, blob, largeBytes }) {
      for (const size of [1000, largeBytes]) {
        const promised = blob(size);
        const sent = blob(size);
        const attempt = adapter.storeStream(promised.address, piecesOf(sent.bytes, 200_000));
        await checkRejects(attempt, 'HashMismatch', 'storeStream');
        check(!(await adapter.exists(promised.address)), 'the promised address exists');
        check(!(await adapter.exists(sent.address)), 'the sent bytes exist');
      }
    },
  },
  {
    name: 'a lying size hint changes nothing',
    async run({ adapter, blob }) {
      for (const sizeHint of [0, 1, 10_000_000_000, -5, Number.NaN]) {
        const { bytes, address } = blob(20_000);
        await adapter.storeStream(address, piecesOf(bytes, 6000), { sizeHint });
        checkBytes(await adapter.fetch(address), bytes, `with a hint of ${sizeHint}`);
      }
    },
  },
  {
    name: 'a size hint does not defeat the limit, and what exceeds it leaves nothing',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(20_000);
      const attempt = adapter.storeStream(address, piecesOf(bytes, 6000), { sizeHint: 10, maxBytes: 19_999 });
      await checkRejects(attempt, 'RangeNotSatisfiable', 'storeStream');
      check(!(await adapter.exists(address)), 'it exists');
      await adapter.storeStream(address, piecesOf(bytes, 6000), { maxBytes: 20_000 });
    },
  },
  {
    name: 'an endless source is stopped at the limit and told to stop',
    async run({ adapter }) {
      let told = false;
      async function* endless(): AsyncGenerator<Uint8Array> {
        try {
          for (;;) yield new Uint8Array(10_000);
        } finally {
          told = true;
        }
      }
      const attempt = adapter.storeStream(undefined, endless(), { maxBytes: 200_000 });
      await checkRejects(attempt, 'RangeNotSatisfiable', 'storeStream');
      await eventually(() => told, 'the source was not told to stop');
    },
  },
  {
    name: 'a source that fails fails the store and leaves nothing',
    async run({ adapter, blob }) {
      const { bytes, address } = blob(50_000);
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield* piecesOf(bytes.subarray(0, 40_000), 10_000);
        throw new Error('the source broke');
      }
      await checkRejects(adapter.storeStream(address, failing()), 'Unexpected', 'storeStream');
      check(!(await adapter.exists(address)), 'it exists');
    },
  },
  {
    name: 'a refused stream is not listed',
    requires: 'list',
    async run({ adapter, blob }) {
      const promised = blob(1000);
      const sent = blob(1000);
      const attempt = adapter.storeStream(promised.address, piecesOf(sent.bytes, 100));
      await checkRejects(attempt, 'HashMismatch', 'storeStream');
      for (const { address } of [promised, sent]) {
        const found = await drain(adapter.list({ prefixHex: address.slice(3) }));
        check(found.length === 0, 'it is listed');
      }
    },
  },
];
