import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { expect, it, onTestFinished } from 'vitest';
import { addressOf, type BlobAddress } from '../../src/core/address.ts';
import { absent } from '../helpers/absent.ts';
import { noise } from '../helpers/vault.ts';
import { addressFor, asBody, blake3, openSocket, requestText } from './harness.ts';
import { zstdOfOneByte } from './zstd-frames.ts';

const DIST = process.env.HOLDFAST_DIST ?? fileURLToPath(new URL('../../dist', import.meta.url));
const MAIN = join(DIST, 'cli', 'main.js');
const MIB = 1024 * 1024;
const TOKEN = 'a-token-for-the-process';
const AUTH = { authorization: `Bearer ${TOKEN}` };

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly port: number;
  readonly ended: Promise<number | null>;
  stderr(): string;
}

async function startProcess(args: readonly string[]): Promise<Running> {
  if (!existsSync(MAIN)) throw new Error(`there is no ${MAIN}: run \`npm run build\` first`);
  const child = spawn(process.execPath, [MAIN, 'node', '--bind', '127.0.0.1:0', '--json', ...args], {
    env: { PATH: process.env.PATH, HOLDFAST_NATIVE: process.env.HOLDFAST_NATIVE, HOLDFAST_NODE_TOKEN: TOKEN },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const errors: Buffer[] = [];
  child.stderr.on('data', (piece: Buffer) => errors.push(piece));
  const stderr = (): string => Buffer.concat(errors).toString();
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const first = new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (piece: Buffer) => resolve(piece.toString()));
    child.once('close', () => reject(new Error(`it ended: ${stderr()}`)));
  });
  const [{ url, port }] = JSON.parse(await first).listening;
  return { child, url, port, ended, stderr };
}

async function folder(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-node-process-'));
  onTestFinished(() => rm(root, { recursive: true, force: true, maxRetries: 5 }));
  return join(root, 'blobs-here');
}

it('a folder is made only when told to, and served again without', async () => {
  const root = await folder();
  await expect(startProcess(['--root', root])).rejects.toThrow('--init');
  expect(existsSync(root)).toBe(false);
  const first = await startProcess(['--root', root, '--init', '--id', 'n7']);
  expect((await fetch(`${first.url}/o`, { method: 'POST', headers: AUTH, body: 'kept' })).status).toBe(201);
  first.child.kill('SIGTERM');
  expect(await first.ended).toBe(0);
  const again = await startProcess(['--root', root]);
  expect(await (await fetch(`${again.url}/o/${addressFor(Buffer.from('kept'))}`)).text()).toBe('kept');
  expect(await (await fetch(`${again.url}/version`)).json()).toMatchObject({
    name: 'holdfast-node',
    adapter: 'n7',
    amnesia: false,
  });
});

it('SIGTERM lets a request under way finish, and exits with 0', async () => {
  const { child, port, url, ended } = await startProcess(['--root', await folder(), '--init']);
  const socket = await openSocket(port);
  socket.write(
    requestText('POST', '/o', { Authorization: AUTH.authorization, 'Content-Length': '10' }, 'half.'),
  );
  const answer = new Promise<string>((resolve) => socket.once('data', (piece) => resolve(piece.toString())));
  for (;;) {
    if (/^inflight 1$/m.test(await (await fetch(`${url}/metrics`, { headers: AUTH })).text())) break;
  }
  child.kill('SIGTERM');
  for (let open = true; open; )
    open =
      (await fetch(`${url}/healthz`).then(
        (response) => response.text(),
        () => '',
      )) !== '';
  socket.write('half.');
  expect(await answer).toMatch(/^HTTP\/1\.1 201 /);
  expect(await ended).toBe(0);
});

it('an amnesiac node writes no blob anywhere and takes no folder', async () => {
  await expect(startProcess(['--amnesia', '--root', await folder()])).rejects.toThrow('--amnesia');
  const { url } = await startProcess(['--amnesia']);
  expect((await fetch(`${url}/o`, { method: 'POST', headers: AUTH, body: 'forgotten' })).status).toBe(201);
  expect(await (await fetch(`${url}/version`)).json()).toMatchObject({ amnesia: true });
});

/** Peak resident memory of a process, bytes; undefined where the system does not tell. */
async function peakBytes(pid: number | undefined): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kib = /VmHWM:\s+(\d+) kB/.exec(text)?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

it('a bomb costs less than 64 MiB', async () => {
  const { child, url } = await startProcess([
    '--root',
    await folder(),
    '--init',
    '--max-body',
    String(1024 * MIB),
  ]);
  const send = (body: Uint8Array, coding: string): Promise<Response> =>
    fetch(`${url}/o`, {
      method: 'POST',
      headers: { ...AUTH, 'content-encoding': coding },
      body: asBody(body),
    });
  expect((await send(gzipSync(noise(100_000)), 'gzip')).status).toBe(201);
  const idle = await peakBytes(child.pid);
  const gzip = gzipSync(Buffer.alloc(400 * MIB));
  const zstd = zstdOfOneByte(4000 * MIB);
  for (const [coding, bomb] of [
    ['gzip', gzip],
    ['zstd', zstd],
  ] as const) {
    for (let i = 0; i < 4; i++) expect((await send(bomb, coding)).status).toBe(413);
  }
  if (idle === undefined) return absent('this system does not tell peak memory', 'the memory of a bomb');
  expect((await peakBytes(child.pid))! - idle).toBeLessThan(64 * MIB);
});

/** Puts one blob. @returns true once a 201 was seen. */
function put(port: number, address: BlobAddress, bytes: Uint8Array): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { ...AUTH, 'content-length': bytes.length };
    const sent = request(
      { port, host: '127.0.0.1', method: 'PUT', path: `/o/${address}`, headers },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 201);
      },
    );
    sent.once('error', () => resolve(false));
    sent.end(bytes);
  });
}

it('kill -9 during many puts loses nothing that was acknowledged, and shows nothing by halves', async () => {
  const root = await folder();
  const total = process.env.SLOW === '1' ? 1000 : 300;
  const blobs = new Map<BlobAddress, Uint8Array>();
  for (let i = 0; i < total; i++) {
    const bytes = noise(1000 + ((i * 7919) % 300_000), i + 1);
    blobs.set(addressFor(bytes), bytes);
  }
  const acknowledged = new Set<BlobAddress>();
  const queue = [...blobs];
  let kills = 0;
  for (const killAt of [0.1, 0.35, 0.6, 0.85]) {
    const { child, port, ended } = await startProcess([
      '--root',
      root,
      '--access-log',
      'off',
      ...(kills === 0 ? ['--init'] : []),
    ]);
    const work = async (): Promise<void> => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        if (await put(port, ...next)) acknowledged.add(next[0]);
        if (acknowledged.size >= killAt * total) child.kill('SIGKILL');
        if (child.killed) return;
      }
    };
    await Promise.all(Array.from({ length: 16 }, work));
    await ended;
    kills++;
  }
  expect(acknowledged.size).toBeGreaterThanOrEqual(0.85 * total);
  const { url } = await startProcess(['--root', root]);
  const listed = await listAll(url);
  for (const address of acknowledged) expect(listed).toContain(address);
  for (const address of listed) {
    const response = await fetch(`${url}/o/${address}`);
    expect(response.status).toBe(200);
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(addressOf(blake3.hash(bytes))).toBe(address);
    expect(Buffer.compare(bytes, blobs.get(address)!)).toBe(0);
  }
  expect(kills).toBe(4);
  for (const left of await readdir(join(root, 'tmp')))
    expect((await stat(join(root, 'tmp', left))).isFile()).toBe(true);
});

async function listAll(url: string): Promise<BlobAddress[]> {
  const all: BlobAddress[] = [];
  for (let after = ''; ; ) {
    const page = (await (await fetch(`${url}/o?limit=100&after=${after}`)).json()) as {
      addresses: BlobAddress[];
      next?: string;
    };
    all.push(...page.addresses);
    if (page.next === undefined) return all;
    after = page.next;
  }
}
