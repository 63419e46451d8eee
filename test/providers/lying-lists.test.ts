import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { BlobAddress } from '../../src/core/address.ts';
import type { BlobAdapter, BlobEntry } from '../../src/providers/adapter.ts';
import type { Driver } from '../../src/providers/driver.ts';
import { adapterFromDriver } from '../../src/providers/from-driver.ts';
import { createHttpAdapter } from '../../src/providers/http/driver.ts';
import { inOrder } from '../../src/providers/listing.ts';
import { MemoryDriver } from '../../src/providers/memory/driver.ts';
import { createS3Adapter } from '../../src/providers/s3/driver.ts';
import { createWebDavAdapter } from '../../src/providers/webdav/driver.ts';
import { blake3, deps } from './deps.ts';

/** Servers whose listings never end, go round, or are far too long for what they are about. */

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(answer: Answer): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const kept = <T extends BlobAdapter>(adapter: T): T => {
  onTestFinished(() => adapter.close());
  return adapter;
};
const s3 = async (answer: Answer) =>
  kept(
    createS3Adapter({
      id: 's',
      endpoint: await serve(answer),
      region: 'us-east-1',
      bucket: 'b',
      credentials: async () => ({ accessKeyId: 'a', secretAccessKey: 's' }),
      ...deps,
    }),
  );
const node = async (answer: Answer) =>
  kept(createHttpAdapter({ id: 'n', url: await serve(answer), credentials: async () => ({}), ...deps }));
const dav = async (answer: Answer) =>
  kept(createWebDavAdapter({ id: 'd', url: await serve(answer), credentials: async () => ({}), ...deps }));

const addressesOf = async (source: AsyncIterable<BlobEntry>): Promise<BlobAddress[]> =>
  (await drain(source)).map(({ address }) => address);

async function drain<T>(source: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of source) out.push(item);
  return out;
}

const hex = (n: number): string => n.toString(16).padStart(64, '0');
const addressAt = (n: number): BlobAddress => `b3:${hex(n)}` as BlobAddress;
const page = (keys: readonly string[], token?: string): string =>
  `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>${keys
    .map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`)
    .join('')}<IsTruncated>${token !== undefined}</IsTruncated>${
    token === undefined ? '' : `<NextContinuationToken>${token}</NextContinuationToken>`
  }</ListBucketResult>`;

describe('an S3 server', () => {
  const lies: Readonly<Record<string, (turn: number) => string>> = {
    'that repeats a continuation token': (turn) => page([`blobs/${hex(turn)}`], 'again'),
    'that repeats a page under new tokens': (turn) => page([`blobs/${hex(1)}`], `t${turn}`),
    'whose pages go back': (turn) => page([`blobs/${hex(100 - turn)}`], `t${turn}`),
    'that gives empty pages without end': (turn) => page([], `t${turn}`),
    'that lists foreign keys without end': (turn) => page([`elsewhere/${turn}`], `t${turn}`),
  };
  for (const [what, lie] of Object.entries(lies)) {
    it(`${what} is refused after a few pages`, async () => {
      let turns = 0;
      const adapter = await s3((_, response) => response.end(lie(++turns)));
      const listing = drain(adapter.list());
      await expect(listing).rejects.toMatchObject({ kind: 'Corrupt', code: 'listing_disordered' });
      expect(turns).toBeLessThan(20);
    });
  }

  it('is asked to begin where the listing is to, and may ignore it', async () => {
    const asked: string[] = [];
    const adapter = await s3((request, response) => {
      asked.push(new URL(request.url ?? '', 'http://x').searchParams.get('start-after') ?? '');
      response.end(page([1, 2, 3, 4].map((n) => `blobs/${hex(n)}`)));
    });
    expect(await addressesOf(adapter.list({ after: addressAt(2) }))).toEqual([addressAt(3), addressAt(4)]);
    expect(asked).toEqual([`blobs/${hex(2)}`]);
  });

  it('is not asked for the slots that nobody wants to see', async () => {
    const names = Array.from({ length: 300 }, (_, i) => hex(i));
    const asked: string[] = [];
    const generation = Buffer.concat([Buffer.of(1), Buffer.alloc(16)]);
    const adapter = await s3((request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '', 'http://x');
      asked.push(pathname);
      if (!searchParams.has('list-type')) return void response.end(generation);
      const [prefix, after] = [searchParams.get('prefix') ?? '', searchParams.get('start-after') ?? ''];
      const keys = names
        .map((name) => `slots/${name}/1`)
        .filter((key) => key.startsWith(prefix) && key > after);
      response.end(page(keys));
    });
    expect(await drain(adapter.listSlots({ after: hex(7), limit: 1 }))).toEqual([hex(8)]);
    // One page, and of the one slot its generations and the last of them.
    expect(asked).toHaveLength(3);
  });

  it('that fills a page without end is cut off', async () => {
    let sent = 0;
    const adapter = await s3((_, response) => {
      response.write('<ListBucketResult>');
      const more = (): void => {
        if (response.destroyed) return;
        const key = `<Contents><Key>blobs/${hex(++sent)}</Key></Contents>`;
        response.write(key.repeat(500), () => setImmediate(more));
      };
      more();
    });
    await expect(drain(adapter.list())).rejects.toMatchObject({ code: 'bad_xml' });
  });

  it('whose error is 20 KB of a cubic text is answered at once, and its text is short', async () => {
    const code = '?token'.repeat(3_500);
    const adapter = await s3((_, response) => {
      response.writeHead(400).end(`<Error><Code>${code}</Code></Error>`);
    });
    const error = await adapter.fetch(addressAt(1)).catch((thrown: Error) => thrown);
    expect((error as Error).message.length).toBeLessThan(400);
  });

  it('whose codes are names of what every object has means nothing by them', async () => {
    for (const code of ['constructor', '__proto__', 'toString']) {
      const adapter = await s3((_, response) =>
        response.writeHead(500).end(`<Error><Code>${code}</Code></Error>`),
      );
      await expect(adapter.fetch(addressAt(1))).rejects.toMatchObject({ kind: 'Unavailable' });
    }
  });
});

describe('a storage node', () => {
  const lies: Readonly<Record<string, (after: string) => object>> = {
    'that repeats its names': () => ({ addresses: [addressAt(1)], next: addressAt(1) }),
    'that goes on behind names it did not give': (after) => ({ addresses: [], next: `${after}0` }),
    'whose names do not ascend': () => ({ addresses: [addressAt(2), addressAt(1)] }),
  };
  for (const [what, lie] of Object.entries(lies)) {
    it(`${what} is refused after a few pages`, async () => {
      let turns = 0;
      const adapter = await node((request, response) => {
        turns++;
        const after = new URL(request.url ?? '', 'http://x').searchParams.get('after') ?? '';
        response.end(JSON.stringify(lie(after)));
      });
      await expect(drain(adapter.list())).rejects.toMatchObject({
        code: expect.stringMatching(/^(listing_disordered|bad_answer)$/),
      });
      expect(turns).toBeLessThan(4);
    });
  }
});

describe('a WebDAV server', () => {
  const response = (name: string, folder = false): string =>
    `<D:response><D:href>/blobs/${name}</D:href><D:propstat><D:prop><D:resourcetype>${
      folder ? '<D:collection/>' : ''
    }</D:resourcetype><D:getcontentlength>3</D:getcontentlength></D:prop></D:propstat></D:response>`;

  it('that answers a stat with more than that takes is cut off early', async () => {
    let sent = 0;
    const adapter = await dav((_, answer) => {
      answer.writeHead(207).write('<D:multistatus xmlns:D="DAV:">');
      const more = (): void => {
        if (answer.destroyed) return;
        sent += 16_384;
        answer.write('<a>'.repeat(5_461), () => setImmediate(more));
      };
      more();
    });
    await expect(adapter.stat(addressAt(1))).rejects.toMatchObject({ code: 'bad_xml' });
    // The rest is what socket buffers hold.
    expect(sent).toBeLessThan(16 * 1024 * 1024);
  });

  it('may list in any order, with tags that come by halves', async () => {
    const adapter = await dav((request, answer) => {
      const inside = request.url?.endsWith('/00/');
      const members = inside
        ? [3, 1, 2, 1].map((n) => response(`00/${hex(n).slice(2)}`))
        : [response('', true), response('00/', true)];
      const text = `<?xml version="1.0"?>\n<D:multistatus xmlns:D="DAV:">\n${members.join('\n')}</D:multistatus>`;
      answer.writeHead(207);
      const write = (at: number): void => {
        if (at >= text.length) return void answer.end();
        answer.write(text.slice(at, at + 7), () => setImmediate(write, at + 7));
      };
      write(0);
    });
    expect(await addressesOf(adapter.list())).toEqual([1, 2, 3].map(addressAt));
    expect(await addressesOf(adapter.list({ after: addressAt(1), limit: 1 }))).toEqual([addressAt(2)]);
  });
});

describe('whatever an adapter lists', () => {
  const over = (driver: Partial<Driver>) =>
    kept(adapterFromDriver(Object.assign(new MemoryDriver({ id: 'm' }, deps), driver), { blake3 }));
  const given = (names: readonly string[]) =>
    async function* () {
      yield* names;
    };
  const blobs = (numbers: readonly number[]) =>
    async function* () {
      for (const number of numbers) yield { address: addressAt(number) };
    };

  it('has to ascend: blobs and slots, also behind where it was to begin', async () => {
    const disordered = { kind: 'Corrupt', code: 'listing_disordered', provider: 'm' };
    const twice = over({
      list: blobs([1, 1]),
      listSlots: given(['0'.repeat(16), '0'.repeat(16)]),
    });
    await expect(drain(twice.list())).rejects.toMatchObject(disordered);
    await expect(drain(twice.listSlots())).rejects.toMatchObject(disordered);
    const before = over({ list: blobs([1]) });
    await expect(drain(before.list({ after: addressAt(5) }))).rejects.toMatchObject(disordered);
  });

  it('is put in order with a batch in memory, however long and often it comes', async () => {
    const names = Array.from({ length: 1_000 }, (_, i) => hex((i * 7_919) % 1_000));
    let readings = 0;
    const read = () => {
      readings++;
      return given([...names, ...names])();
    };
    expect(await drain(inOrder(read, String, hex(9), 64))).toEqual([...names].sort().slice(10));
    expect(readings).toBe(16);
  });
});
