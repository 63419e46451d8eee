import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { accelerationFrom } from '../../src/core/acceleration.ts';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { systemClock as clock } from '../../src/core/clock.ts';
import { secureRandom as random } from '../../src/core/random.ts';
import type { Scope } from '../../src/http/auth.ts';
import { createAuthenticator, hashToken, type TokenTable } from '../../src/http/auth.ts';
import type { AccessEntry, ServiceLog } from '../../src/http/log.ts';
import { gunzip, selectZstdInflater } from '../../src/node/inflate.ts';
import { createNode, type NodeOptions, type StorageNode } from '../../src/node/node.ts';
import type { BlobAdapter } from '../../src/providers/adapter.ts';
import { createFsAdapter } from '../../src/providers/fs/driver.ts';
import { initFsProvider } from '../../src/providers/fs/layout.ts';
import { fsPeekStat } from '../../src/providers/fs/stat.ts';
import { createTelemetry } from '../../src/telemetry/index.ts';
import { metricIn } from '../helpers/metrics.ts';

export const ACCELERATION = accelerationFrom(process.env);
export const blake3 = await selectBlake3(ACCELERATION);
export const deps = { clock, random, blake3 };

/** Tokens that every test node knows, one for each set of scopes. */
export const TOKENS = {
  reader: ['read'],
  writer: ['read', 'write'],
  keeper: ['read', 'write', 'delete'],
  admin: ['read', 'write', 'delete', 'admin'],
} as const;
export const bearer = (name: keyof typeof TOKENS): string => `Bearer ${tokenOf(name)}`;
export const tokenOf = (name: string): string => `token-of-the-${name}`;

export function tableOf(anonymous: readonly Scope[] = ['read']): TokenTable {
  const tokens = Object.entries(TOKENS).map(([name, scopes]) => ({
    name,
    scopes: new Set<Scope>(scopes),
    sha256: hashToken(tokenOf(name)),
  }));
  return { tokens, anonymous: new Set(anonymous) };
}

export interface TestNode {
  readonly node: StorageNode;
  readonly adapter: BlobAdapter;
  readonly port: number;
  readonly url: string;
  /** Folder of the blobs. */
  readonly root: string;
  readonly access: AccessEntry[];
  /** See `metricIn`; 0 where there is none. */
  metric(name: string): Promise<number>;
  pathOf(address: BlobAddress): string;
}

/** A node over a folder of its own, gone when the test is; it looks at files as the command does. */
export async function startNode(
  options: Partial<NodeOptions> & { anonymous?: readonly Scope[] } = {},
): Promise<TestNode> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-node-'));
  await initFsProvider(root, 'test');
  const adapter = options.adapter ?? createFsAdapter({ id: 'test', root, ...deps });
  const peekStat = options.adapter === undefined ? await fsPeekStat(root, clock) : undefined;
  const telemetry = await createTelemetry();
  const access: AccessEntry[] = [];
  const log: ServiceLog = { access: (entry) => access.push(entry), event() {} };
  const table = tableOf(options.anonymous);
  const node = createNode({
    ...deps,
    auth: createAuthenticator(() => table),
    metrics: telemetry.services,
    exposition: telemetry,
    inflaters: { gzip: gunzip, zstd: await selectZstdInflater(ACCELERATION) },
    log,
    version: '0.0.0',
    peekStat,
    allowedHosts: ['test', 't', 'anyone'],
    ...options,
    adapter,
  });
  const address = await node.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
  if (address.kind !== 'tcp') throw new Error('not a TCP address');
  onTestFinished(async () => {
    await node.close();
    await adapter.close();
    await rm(root, { recursive: true, force: true });
  });
  return {
    node,
    adapter,
    root,
    access,
    port: address.port,
    url: address.url,
    pathOf: (blob) => join(root, 'blobs', blob.slice(3, 5), blob.slice(5)),
    metric: async (name) => metricIn(await telemetry.renderMetrics(), name) ?? 0,
  };
}

export const addressFor = (bytes: Uint8Array): BlobAddress => addressOf(blake3.hash(bytes));

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** Everything, also what follows the first answer. */
  readonly raw: string;
  /** The server ended the connection. */
  readonly closed: boolean;
}

const RAW_MS = 10_000;
const QUIET_MS = 15;

/**
 * Sends bytes as they are and takes what comes back: until the server closes, or, where it keeps the connection, until
 * a whole answer is there and nothing follows it.
 */
export async function sendRaw(
  port: number,
  bytes: string | Uint8Array,
  options: { end?: boolean } = {},
): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  const pieces: Buffer[] = [];
  let closed = false;
  await new Promise<void>((resolve, reject) => {
    let quiet: NodeJS.Timeout | undefined;
    const limit = setTimeout(() => reject(new Error('no answer')), RAW_MS);
    const done = (): void => {
      clearTimeout(limit);
      clearTimeout(quiet);
      resolve();
    };
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      clearTimeout(quiet);
      const all = Buffer.concat(pieces);
      const ending = /\r\nconnection: close\r\n/i.test(all.toString('latin1'));
      if (!ending && isWhole(all, bytes)) quiet = setTimeout(done, QUIET_MS);
    });
    socket.once('close', () => {
      closed = true;
      done();
    });
    socket.once('error', () => {});
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    if (options.end) socket.end();
  });
  socket.destroy();
  return { ...parseAnswer(Buffer.concat(pieces)), closed };
}

function isWhole(all: Buffer, request: string | Uint8Array): boolean {
  const end = all.indexOf('\r\n\r\n');
  if (end < 0) return false;
  const head = /^HEAD /.test(Buffer.from(request.slice(0, 5)).toString());
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(all.toString('latin1', 0, end))?.[1] ?? 0);
  return head || all.length >= end + 4 + length;
}

export function parseAnswer(all: Buffer): Omit<RawAnswer, 'closed'> {
  const end = all.indexOf('\r\n\r\n');
  const lines = all.toString('latin1', 0, Math.max(0, end)).split('\r\n');
  const headers = Object.fromEntries(
    lines
      .slice(1)
      .map((line) => [
        line.slice(0, line.indexOf(':')).toLowerCase(),
        line.slice(line.indexOf(':') + 1).trim(),
      ]),
  );
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(lines[0] ?? '')?.[1] ?? 0),
    headers,
    body: end < 0 ? Buffer.alloc(0) : all.subarray(end + 4),
    raw: all.toString('latin1'),
  };
}

/** A request as text. */
export function requestText(
  method: string,
  target: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
): string {
  const length = body === '' ? {} : { 'Content-Length': String(body.length) };
  const lines = Object.entries({ Host: 'test', ...length, ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`;
}

export const openSocket = async (port: number): Promise<Socket> => {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return socket;
};

/** Bytes as `fetch` takes them. */
export const asBody = (bytes: Uint8Array): NonNullable<RequestInit['body']> =>
  bytes as unknown as NonNullable<RequestInit['body']>;
