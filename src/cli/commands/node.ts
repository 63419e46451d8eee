import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { accelerationFrom } from '../../core/acceleration.ts';
import { selectBlake3 } from '../../core/b3/select.ts';
import { systemClock as clock } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { secureRandom as random } from '../../core/random.ts';
import type { Scope } from '../../http/auth/principal.ts';
import { type WatchedTokens, watchTokenFile } from '../../http/auth/token-file.ts';
import { createAuthenticator, hashToken, type TokenTable } from '../../http/auth/tokens.ts';
import { createLineLog, type LineLog } from '../../http/line-log.ts';
import type { BoundAddress, Listener, TlsMaterial } from '../../http/listener.ts';
import { createNode, gunzip, type NodeLimits, selectZstdInflater } from '../../node/index.ts';
import type { BlobAdapter } from '../../providers/adapter.ts';
import type { AdapterDeps } from '../../providers/driver.ts';
import { createTelemetry } from '../../telemetry/index.ts';
import type { CliContext } from '../flags.ts';
import { type Io, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { version } from '../version.ts';

interface NodeFlags {
  readonly bind?: string;
  readonly root?: string;
  readonly init: boolean;
  readonly id?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly unix?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly clientCa?: string;
  readonly amnesia: boolean;
  readonly amnesiaBytes?: number;
  readonly maxInflight?: number;
  readonly maxRps?: number;
  readonly maxClientRps?: number;
  readonly maxBody?: number;
  readonly accessLog?: string;
  readonly json: boolean;
}

const TOKEN_FILE_MS = 1_000;
const DEFAULT_ID = 'node';
const AMNESIA_BYTES = 256 * 1024 * 1024;

/** Serves one folder (or the memory) over HTTP until it is told to stop. */
export default async function node(this: CliContext, flags: NodeFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const listeners = await listenersOf(flags, io);
    const blake3 = await selectBlake3(accelerationFrom(io.env));
    const adapter = await openAdapter(flags, io, { clock, random, blake3 });
    const log = openLog(flags, io);
    const tokens = await openTokens(flags, io, listeners, log);
    const telemetry = await createTelemetry();
    const server = createNode({
      adapter,
      blake3,
      clock,
      random,
      log,
      auth: createAuthenticator(tokens.table),
      metrics: telemetry.services,
      exposition: telemetry,
      inflaters: { gzip: gunzip, zstd: await selectZstdInflater(accelerationFrom(io.env)) },
      version: (await version(false, io.env)).replace('holdfast ', ''),
      limits: limitsOf(flags),
      amnesia: flags.amnesia,
    });
    try {
      const bound: BoundAddress[] = [];
      for (const listener of listeners) bound.push(await server.listen(listener));
      output(io, flags.json, { listening: bound }, () => bound.map(describe).join('\n'));
      await aborted(io.signal);
      await server.drain();
    } finally {
      await server.close();
      tokens.stop();
      await adapter.close();
      log.flush();
    }
    return undefined;
  });
}

async function listenersOf(flags: NodeFlags, io: Io): Promise<Listener[]> {
  const listeners: Listener[] = [];
  const tls = await tlsOf(flags, io);
  if (flags.bind !== undefined) {
    const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(flags.bind) ?? [];
    if (host === '' || Number(port) > 65_535)
      throw usage('--bind is HOST:PORT', 'For example 127.0.0.1:7700.');
    listeners.push({ kind: 'tcp', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), tls });
  }
  if (flags.unix !== undefined) listeners.push({ kind: 'unix', path: resolve(io.cwd, flags.unix) });
  if (listeners.length === 0)
    throw usage('there is nowhere to listen', 'Pass --bind HOST:PORT, --unix PATH or both.');
  return listeners;
}

async function tlsOf(
  { tlsCert, tlsKey, clientCa, bind }: NodeFlags,
  io: Io,
): Promise<TlsMaterial | undefined> {
  if (tlsCert === undefined && tlsKey === undefined && clientCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined || bind === undefined) {
    throw usage(
      'TLS needs --bind, --tls-cert and --tls-key',
      'Add --client-ca to ask clients for certificates too.',
    );
  }
  const read = (path: string): Promise<string> =>
    readFile(resolve(io.cwd, path), 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new HoldfastError('ConfigInvalid', `cannot read ${path}: ${cause.code}`, { cause });
    });
  const [cert, key] = [await read(tlsCert), await read(tlsKey)];
  return { cert, key, clientCa: clientCa === undefined ? undefined : await read(clientCa) };
}

async function openAdapter(flags: NodeFlags, io: Io, deps: AdapterDeps): Promise<BlobAdapter> {
  if (flags.amnesia) {
    if (flags.root !== undefined)
      throw usage('an amnesiac node keeps nothing', 'Leave out --root, or --amnesia.');
    const { createMemoryAdapter } = await import('../../providers/memory/index.ts');
    return createMemoryAdapter({
      ...deps,
      id: flags.id ?? DEFAULT_ID,
      capacityBytes: flags.amnesiaBytes ?? AMNESIA_BYTES,
    });
  }
  if (flags.root === undefined)
    throw usage('a folder is needed', 'Pass --root DIR, and --init the first time.');
  const { createFsAdapter, initFsProvider, readProviderId } = await import('../../providers/fs/index.ts');
  const root = resolve(io.cwd, flags.root);
  const id = flags.id ?? (await readProviderId(root)) ?? DEFAULT_ID;
  if (flags.init) await initFsProvider(root, id);
  const adapter = createFsAdapter({ ...deps, id, root });
  // A wrong or missing folder is told now rather than to the first client.
  await adapter.probe({ signal: io.signal }).catch((error: unknown) => {
    if (!(error instanceof HoldfastError) || error.code !== 'provider_missing') throw error;
    throw error.with({ hint: 'Mount the disk again, or pass --init to make a new folder.' });
  });
  return adapter;
}

/**
 * Without tokens a node that only this machine can reach is open, so that a first try just works; any other may be read
 * only.
 */
async function openTokens(
  flags: NodeFlags,
  io: Io,
  listeners: readonly Listener[],
  log: LineLog,
): Promise<WatchedTokens> {
  const token = flags.token ?? io.env.HOLDFAST_NODE_TOKEN;
  if (token !== undefined && flags.tokenFile !== undefined) {
    throw usage('--token and --token-file exclude each other', 'A token file holds any number of tokens.');
  }
  if (flags.tokenFile !== undefined) {
    return watchTokenFile({
      path: resolve(io.cwd, flags.tokenFile),
      clock,
      intervalMs: TOKEN_FILE_MS,
      onReload: (outcome) =>
        'error' in outcome
          ? log.event('warn', 'token_file_refused', { message: outcome.error.message })
          : log.event('info', 'token_file_read', outcome),
    });
  }
  const table = token === undefined ? withoutTokens(listeners, log) : withToken(token);
  return { table: () => table, stop() {} };
}

function withToken(token: string): TokenTable {
  const scopes = new Set<Scope>(['read', 'write', 'delete', 'admin']);
  return { tokens: [{ name: 'token', scopes, sha256: hashToken(token) }], anonymous: new Set(['read']) };
}

function withoutTokens(listeners: readonly Listener[], log: LineLog): TokenTable {
  const local = listeners.every((listener) => listener.kind === 'unix' || isLoopback(listener.host));
  log.event('warn', 'no_tokens', { anonymous: local ? ['read', 'write', 'delete'] : ['read'] });
  return { tokens: [], anonymous: new Set(local ? ['read', 'write', 'delete'] : ['read']) };
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

function limitsOf({ maxInflight, maxRps, maxClientRps, maxBody }: NodeFlags): Partial<NodeLimits> {
  return {
    ...(maxInflight === undefined ? {} : { maxInflight }),
    ...(maxRps === undefined ? {} : { maxRps }),
    ...(maxClientRps === undefined ? {} : { maxClientRps }),
    ...(maxBody === undefined ? {} : { maxBodyBytes: maxBody, maxForeignBodyBytes: maxBody }),
  };
}

function openLog({ accessLog = '-' }: NodeFlags, io: Io): LineLog {
  const to = (): Writable | undefined => {
    if (accessLog === 'off') return undefined;
    return accessLog === '-' ? io.stderr : createWriteStream(resolve(io.cwd, accessLog), { flags: 'a' });
  };
  return createLineLog(io.stderr, to(), clock);
}

const describe = (address: BoundAddress): string =>
  `listening on ${address.kind === 'unix' ? address.path : address.url}`;

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolvePromise) => {
    if (signal.aborted) resolvePromise();
    else signal.addEventListener('abort', () => resolvePromise(), { once: true });
  });
}

function usage(message: string, hint: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', message, { code: 'usage', hint });
}
