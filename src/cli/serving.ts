import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import type { ServingConfig } from '../config/types.ts';
import { systemClock as clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import type { Scope } from '../http/auth/principal.ts';
import { type WatchedTokens, watchTokenFile } from '../http/auth/token-file.ts';
import { hashToken, type TokenTable } from '../http/auth/tokens.ts';
import type { HttpLimits } from '../http/limits.ts';
import { createLineLog, type LineLog } from '../http/line-log.ts';
import type { BoundAddress, Listener } from '../http/listener.ts';
import type { Service } from '../http/service.ts';
import type { TlsFiles } from '../http/tls.ts';
import { type Io, output } from './io.ts';

/** Flags of every command that serves HTTP. */
export interface ServingFlags {
  readonly bind?: string | undefined;
  readonly unix?: string | undefined;
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly clientCa?: string | undefined;
  readonly maxInflight?: number | undefined;
  readonly maxRps?: number | undefined;
  readonly maxClientRps?: number | undefined;
  readonly accessLog?: string | undefined;
  readonly json: boolean;
}

/** What the flags leave open is as the file says. Its paths start at the home. */
export function overFile<F extends ServingFlags>(flags: F, file: ServingConfig, home: string): F {
  const path = (flag: string | undefined, kept: string): string | undefined =>
    flag ?? (kept === '' ? undefined : resolve(home, kept));
  const { accessLog } = file;
  return {
    ...flags,
    bind: flags.bind ?? (file.bind || undefined),
    unix: path(flags.unix, file.unix),
    tokenFile: flags.token === undefined ? path(flags.tokenFile, file.tokenFile) : flags.tokenFile,
    tlsCert: path(flags.tlsCert, file.tlsCert),
    tlsKey: path(flags.tlsKey, file.tlsKey),
    clientCa: path(flags.clientCa, file.clientCa),
    accessLog:
      flags.accessLog ?? (accessLog === '-' || accessLog === 'off' ? accessLog : resolve(home, accessLog)),
  };
}

/** Who may do what when no token file says so. */
export interface DefaultAccess {
  /** Environment variable of the one token. */
  readonly variable: string;
  /** Without credentials, where there is a token. */
  readonly besideToken: readonly Scope[];
  /** Without tokens, where only this machine can reach the service. */
  readonly local: readonly Scope[];
  /** Without tokens, where others can; undefined: refused. */
  readonly open: readonly Scope[] | undefined;
}

const TOKEN_FILE_MS = 1_000;

/** Listens, says where, and serves until the command is told to stop; then lets requests finish. */
export async function serve(
  service: Pick<Service, 'listen' | 'drain'>,
  listeners: readonly Listener[],
  io: Io,
  json: boolean,
): Promise<void> {
  const bound: BoundAddress[] = [];
  for (const listener of listeners) bound.push(await service.listen(listener));
  output(io, json, { listening: bound }, () => bound.map(describe).join('\n'));
  await aborted(io.signal);
  await service.drain();
}

/** @throws HoldfastError `ConfigInvalid` (`usage`) */
export function listenersOf(flags: ServingFlags, io: Io): Listener[] {
  const listeners: Listener[] = [];
  const tls = tlsOf(flags, io);
  if (flags.bind !== undefined) {
    const [, host = '', port = ''] = /^(.+):(\d{1,5})$/.exec(flags.bind) ?? [];
    if (host === '' || Number(port) > 65_535)
      throw usage('--bind is HOST:PORT', 'For example 127.0.0.1:7700.');
    listeners.push({ kind: 'tcp', host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port), tls });
  }
  if (flags.unix !== undefined) listeners.push({ kind: 'unix', path: resolve(io.cwd, flags.unix) });
  if (listeners.length === 0)
    throw usage(
      'there is nowhere to listen',
      'Pass --bind HOST:PORT, --unix PATH or both, or set them in the configuration.',
    );
  return listeners;
}

function tlsOf({ tlsCert, tlsKey, clientCa, bind }: ServingFlags, io: Io): TlsFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined && clientCa === undefined) return undefined;
  if (tlsCert === undefined || tlsKey === undefined || bind === undefined) {
    throw usage(
      'TLS needs --bind, --tls-cert and --tls-key',
      'Add --client-ca to ask clients for certificates too.',
    );
  }
  const at = (path: string): string => resolve(io.cwd, path);
  const clientCaFile = clientCa === undefined ? undefined : at(clientCa);
  return { certFile: at(tlsCert), keyFile: at(tlsKey), clientCaFile };
}

/** @throws HoldfastError `ConfigInvalid` (`usage`, `bad_token_file`) */
export async function openTokens(
  flags: ServingFlags,
  io: Io,
  listeners: readonly Listener[],
  log: LineLog,
  access: DefaultAccess,
): Promise<WatchedTokens> {
  const token = flags.token ?? io.env[access.variable];
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
  const table = token === undefined ? withoutTokens(listeners, log, access) : withToken(token, access);
  return { table: () => table, stop() {} };
}

function withToken(token: string, { besideToken }: DefaultAccess): TokenTable {
  const scopes = new Set<Scope>(['read', 'write', 'delete', 'admin']);
  return { tokens: [{ name: 'token', scopes, sha256: hashToken(token) }], anonymous: new Set(besideToken) };
}

function withoutTokens(listeners: readonly Listener[], log: LineLog, access: DefaultAccess): TokenTable {
  const local = listeners.every((listener) => listener.kind === 'unix' || isLoopback(listener.host));
  const anonymous = local ? access.local : access.open;
  if (anonymous === undefined) {
    throw usage(
      'without tokens, whoever reaches this address could read everything',
      'Pass --token or --token-file, --public to let everyone read, or bind to 127.0.0.1.',
    );
  }
  log.event('warn', 'no_tokens', { anonymous });
  return { tokens: [], anonymous: new Set(anonymous) };
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || /^127\./.test(host);

export function limitsOf(
  { maxInflight, maxRps, maxClientRps }: ServingFlags,
  file: ServingConfig,
): Omit<HttpLimits, 'maxHeaderBytes'> {
  const { maxConnections, headersMs, requestMs, idleMs, keepAliveMs, graceMs, minBytesPerSecond, drainMs } =
    file;
  return {
    maxInflight: maxInflight ?? file.maxInflight,
    maxRps: maxRps ?? (file.maxRps || undefined),
    maxClientRps: maxClientRps ?? (file.maxClientRps || undefined),
    maxConnections,
    headersMs,
    requestMs,
    idleMs,
    keepAliveMs,
    graceMs,
    minBytesPerSecond,
    drainMs,
  };
}

export function openLog({ accessLog = '-' }: ServingFlags, io: Io): LineLog {
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

export function usage(message: string, hint: string): HoldfastError {
  return new HoldfastError('ConfigInvalid', message, { code: 'usage', hint });
}
