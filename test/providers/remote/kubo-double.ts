import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { addressOf, type BlobAddress } from '../../../src/core/address.ts';
import { cidOf } from '../../../src/providers/ipfs/rpc.ts';
import { blake3 } from '../deps.ts';

/**
 * Answers as Kubo's RPC reference and the trustless gateway specification say, for want of a Kubo that could be
 * installed. Written from those texts, so it proves that the adapter speaks them, not that Kubo does.
 */
export async function startKuboDouble(): Promise<{
  readonly url: string;
  /** Another block than the address says, as a disk that rots makes it. */
  plant(address: BlobAddress, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}> {
  const blocks = new Map<string, Buffer>();
  const pins = new Set<string>();
  const fail = (response: ServerResponse, Message: string): void => {
    response
      .writeHead(500, { 'content-type': 'application/json' })
      .end(JSON.stringify({ Message, Code: 0, Type: 'error' }));
  };
  const json = (response: ServerResponse, ...objects: unknown[]): void => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(objects.map((object) => `${JSON.stringify(object)}\n`).join(''));
  };

  const rpc = async (
    command: string,
    query: URLSearchParams,
    request: IncomingMessage,
    response: ServerResponse,
  ) => {
    const arg = query.get('arg') ?? '';
    const block = blocks.get(arg);
    const missing = (): void =>
      fail(response, `block was not found locally (offline): ipld: could not find ${arg}`);
    if (command === 'version') return json(response, { Version: '0' });
    if (command === 'block/put') {
      const data = partOf(await bodyOf(request), request.headers['content-type'] ?? '');
      if (data.length > 1024 * 1024 && query.get('allow-big-block') !== 'true')
        return fail(response, 'produced block is over 1MiB');
      if (query.get('mhtype') !== 'blake3' || query.get('cid-codec') !== 'raw')
        return fail(response, 'unexpected options');
      const cid = cidOf(addressOf(blake3.hash(data)));
      if (!blocks.has(cid)) blocks.set(cid, data); // as Kubo does: what it has is not written again
      if (query.get('pin') === 'true') pins.add(cid);
      return json(response, { Key: cid, Size: data.length });
    }
    if (command === 'pin/ls')
      return json(
        response,
        { Cid: 'QmForeign', Type: 'recursive' },
        ...[...pins].map((Cid) => ({ Cid, Type: 'recursive' })),
      );
    if (command === 'pin/rm')
      return pins.delete(arg)
        ? json(response, { Pins: [arg] })
        : fail(response, 'not pinned or pinned indirectly');
    if (command === 'block/rm') {
      if (pins.has(arg)) return json(response, { Hash: arg, Error: 'pinned: recursive' });
      blocks.delete(arg);
      return json(response);
    }
    if (block === undefined) return missing();
    if (command === 'block/stat') return json(response, { Key: arg, Size: block.length });
    if (command === 'block/get') return response.end(block);
    response.writeHead(404).end();
  };

  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://x');
    if (pathname.startsWith('/ipfs/')) {
      const block = pathname === '/ipfs/bafkqaaa' ? Buffer.alloc(0) : blocks.get(pathname.slice(6));
      response
        .writeHead(block === undefined ? 404 : 200, { 'content-length': block?.length ?? 0 })
        .end(request.method === 'HEAD' ? undefined : block);
    } else if (request.method !== 'POST') response.writeHead(405).end();
    else
      rpc(pathname.slice('/api/v0/'.length), searchParams, request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    plant: async (address, bytes) => {
      blocks.set(cidOf(address), Buffer.from(bytes));
      pins.add(cidOf(address));
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** The one file of a form (RFC 7578). */
function partOf(body: Buffer, contentType: string): Buffer {
  const boundary = /boundary=(\S+)/.exec(contentType)?.[1] ?? '';
  const start = body.indexOf('\r\n\r\n') + 4;
  return body.subarray(start, body.lastIndexOf(`\r\n--${boundary}--`));
}
