/** The plainest file server there is on Node: `load-bare.js <folder> <folder for puts> <streams|memory>`. Verifies nothing. */
import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

const [folder = '', puts = '', mode] = process.argv.slice(2);
const held = new Map<string, Buffer>();

function rangeOf(header: string | undefined, size: number): [number, number] {
  const found = /^bytes=(\d+)-(\d+)$/.exec(header ?? '');
  return found === null ? [0, size - 1] : [Number(found[1]), Math.min(size - 1, Number(found[2]))];
}

function head(request: IncomingMessage, response: ServerResponse, size: number): [number, number] {
  const [start, end] = rangeOf(request.headers.range, size);
  const length = { 'content-length': end - start + 1, 'content-type': 'application/octet-stream' };
  if (request.headers.range === undefined) response.writeHead(200, length);
  else response.writeHead(206, { ...length, 'content-range': `bytes ${start}-${end}/${size}` });
  return [start, end];
}

async function stream(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
  const { size } = await stat(path);
  const [start, end] = head(request, response, size);
  createReadStream(path, { start, end }).pipe(response);
}

function fromMemory(request: IncomingMessage, response: ServerResponse, path: string): void {
  const bytes = held.get(path) ?? readFileSync(path);
  held.set(path, bytes);
  const [start, end] = head(request, response, bytes.length);
  response.end(bytes.subarray(start, end + 1));
}

const server = createServer((request, response) => {
  const { url = '/' } = request;
  const failed = (): void => void response.writeHead(500).end();
  if (request.method === 'PUT') {
    pipeline(request, createWriteStream(join(puts, url.replaceAll('/', '')))).then(
      () => response.writeHead(201, { 'content-length': 0 }).end(),
      failed,
    );
  } else if (mode === 'memory') fromMemory(request, response, join(folder, url));
  else stream(request, response, join(folder, url)).catch(failed);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
