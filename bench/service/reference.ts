/**
 * What a node is measured by: `reference.js <folder of blobs> <folder for puts>`. The plainest server on node:http that does
 * the same to the same bytes, once: it looks at files, keeps short ones in memory, reads and hashes others, and writes a line
 * for each request.
 */
import { createReadStream, createWriteStream, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { toHex } from '../../src/core/bytes.ts';

const [folder = '', puts = ''] = process.argv.slice(2);
const blake3 = await selectBlake3({ native: true, wasm: true });
const KIB = 1024;
const KEPT_BYTES = 512 * KIB;
const WHOLE_BYTES = 2 * KIB * KIB;
const kept = new Map<string, Buffer>();
const scratch = Buffer.alloc(WHOLE_BYTES);
let count = 0;
let lines: string[] = [];

function rangeOf(header: string | undefined, size: number): [number, number] {
  const found = /^bytes=(\d+)-(\d+)$/.exec(header ?? '');
  return found === null ? [0, size] : [Number(found[1]), Math.min(size, Number(found[2]) + 1)];
}

/** All of a short one, from memory; all of one that is not so short, read and hashed anew. */
function bytesOf(path: string, size: number): Buffer {
  const found = kept.get(path);
  if (found !== undefined) return found;
  if (size <= KEPT_BYTES) {
    const bytes = readFileSync(path);
    kept.set(path, bytes);
    return bytes;
  }
  const bytes = scratch.subarray(0, readSync(openFile(path), scratch, 0, size, 0));
  toHex(blake3.hash(bytes));
  return bytes;
}

const files = new Map<string, number>();
function openFile(path: string): number {
  const file = files.get(path) ?? openSync(path, 'r');
  files.set(path, file);
  return file;
}

function get(request: IncomingMessage, response: ServerResponse, path: string): void {
  const { size, mtimeMs } = statSync(path);
  const isHead = request.method === 'HEAD';
  const [start, end] = rangeOf(isHead ? undefined : request.headers.range, size);
  response.writeHead(request.headers.range === undefined || isHead ? 200 : 206, {
    ...{ 'content-length': end - start, 'content-type': 'application/octet-stream' },
    ...{ etag: `"${path}"`, 'cache-control': 'private', 'accept-ranges': 'bytes' },
    ...{ 'content-range': `bytes ${start}-${end - 1}/${size}`, 'x-corr-id': `${mtimeMs}-${count++}` },
  });
  if (size <= WHOLE_BYTES) {
    const bytes = bytesOf(path, size);
    if (isHead) response.end();
    else
      response.end(size <= KEPT_BYTES ? bytes.subarray(start, end) : Buffer.from(bytes.subarray(start, end)));
    return;
  }
  const from = createReadStream(path, { start, end: end - 1, highWaterMark: 64 * KIB });
  void pipeline(from, hashing(), response).catch(() => {});
}

const hashing = (): Transform => {
  const hasher = blake3.createHasher();
  return new Transform({
    transform(piece: Buffer, _coding, done) {
      hasher.update(piece);
      done(undefined, piece);
    },
  });
};

async function put(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = join(puts, String(count++));
  const file = createWriteStream(`${path}.part`);
  const coded = request.headers['content-encoding'] === 'gzip';
  await (coded ? pipeline(request, createGunzip(), hashing(), file) : pipeline(request, hashing(), file));
  await rename(`${path}.part`, path);
  response.writeHead(201, { 'content-length': 0 }).end();
}

function log(request: IncomingMessage): void {
  const { method, url, headers } = request;
  lines.push(JSON.stringify({ time: new Date().toISOString(), method, url, range: headers.range, count }));
  if (lines.length > 100) lines = [];
}

const server = createServer((request, response) => {
  const { url = '/' } = request;
  const failed = (): void => void response.writeHead(500).end();
  response.once('close', () => log(request));
  if (request.method === 'PUT' || request.method === 'POST') return void put(request, response).catch(failed);
  const hex = url.slice(-64);
  const path = join(folder, hex.slice(0, 2), hex.slice(2));
  get(request, response, path);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
