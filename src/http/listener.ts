import { lstat, unlink } from 'node:fs/promises';
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { readSmallFile } from '../core/files.ts';
import type { Plane } from './auth.ts';
import { type Followed, type FollowOptions, followFiles } from './follow-files.ts';

/** Where a service listens. */
export type Listener = TcpListener | UnixListener;

interface TcpListener {
  readonly kind: 'tcp';
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly tls?: TlsSource | undefined;
}

/** A socket that only this user can open. */
interface UnixListener {
  readonly kind: 'unix';
  readonly path: string;
}

export type BoundAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly url: string }
  | { readonly kind: 'unix'; readonly path: string };

/** What a listener tells of everyone who comes in by it. */
export const planeOf = (listener: Listener): Plane =>
  listener.kind === 'unix'
    ? { private: true, kind: 'unix', host: '' }
    : {
        private: listener.tls !== undefined && asksForClients(listener.tls),
        kind: listener.tls === undefined ? 'tcp' : 'tls',
        host: listener.host,
      };

/** @throws HoldfastError `ConfigInvalid` (`listen_failed`) */
export async function bind(server: HttpServer | HttpsServer, listener: Listener): Promise<BoundAddress> {
  if (listener.kind === 'unix') await removeStale(listener.path);
  const where =
    listener.kind === 'unix' ? { path: listener.path } : { host: listener.host, port: listener.port };
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => reject(listenFailed(listener, cause));
    server.once('error', failed);
    // Clients may connect to the socket before anything could change its mode.
    const mask = process.umask(listener.kind === 'unix' ? 0o177 : process.umask());
    server.listen({ ...where, backlog: 1024 }, () => {
      server.off('error', failed);
      resolve();
    });
    process.umask(mask);
  });
  if (listener.kind === 'unix') return { kind: 'unix', path: listener.path };
  const { address, port, family } = server.address() as AddressInfo;
  const host = family === 'IPv6' ? `[${address}]` : address;
  return { kind: 'tcp', host: address, port, url: `${listener.tls ? 'https' : 'http'}://${host}:${port}` };
}

/** A socket file outlives a process that was killed. One that still answers is left alone. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined || !found.isSocket()) return;
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
  if (!answers) await unlink(path);
}

function listenFailed(listener: Listener, cause: NodeJS.ErrnoException): HoldfastError {
  const where = listener.kind === 'unix' ? listener.path : `${listener.host}:${listener.port}`;
  return new HoldfastError('ConfigInvalid', `cannot listen on ${where}: ${cause.code ?? cause.message}`, {
    code: 'listen_failed',
    hint: 'Choose an address that is free and that this user may use.',
    cause,
  });
}

/** PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Authorities of client certificates. With it, only clients that show such a certificate are let in. */
  readonly clientCa?: string | undefined;
}

/** The same in files. The service follows them, so that it takes a renewed certificate without a restart. */
export interface ListenerTlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string | undefined;
}

export type TlsSource = TlsMaterial | ListenerTlsFiles;

const FOLLOW_MS = 1_000;
const HANDSHAKE_MS = 10_000;

const asksForClients = (tls: TlsSource): boolean =>
  ('cert' in tls ? tls.clientCa : tls.clientCaFile) !== undefined;

/** The form that `https.createServer` and `setSecureContext` take. */
export function tlsOptions({ cert, key, clientCa }: TlsMaterial): Record<string, unknown> {
  const mutual = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  return { cert, key, minVersion: 'TLSv1.2', handshakeTimeout: HANDSHAKE_MS, ...mutual };
}

/** @throws HoldfastError `ConfigInvalid` (`bad_tls_files`) when they cannot be read or do not belong together. */
export function followTls(
  source: TlsSource,
  clock: Clock,
  onReload: FollowOptions<TlsMaterial>['onReload'],
): Promise<Followed<TlsMaterial>> {
  if ('cert' in source) return Promise.resolve({ current: () => source, stop() {} });
  const { certFile, keyFile, clientCaFile } = source;
  const paths = [certFile, keyFile, clientCaFile].filter((path) => path !== undefined);
  return followFiles({ paths, read: () => readListenerTls(source), clock, intervalMs: FOLLOW_MS, onReload });
}

async function readListenerTls({ certFile, keyFile, clientCaFile }: ListenerTlsFiles): Promise<TlsMaterial> {
  const material = {
    cert: await readPem(certFile),
    key: await readPem(keyFile),
    clientCa: clientCaFile === undefined ? undefined : await readPem(clientCaFile),
  };
  try {
    // This also finds out that only one of the files has been replaced so far.
    createSecureContext(tlsOptions(material));
  } catch (cause) {
    throw badFiles(`certificate and key cannot be used together: ${(cause as Error).message}`, cause);
  }
  return material;
}

const MAX_PEM_BYTES = 1024 * 1024;

const readPem = (path: string): Promise<string> =>
  readSmallFile(path, MAX_PEM_BYTES).catch((cause: NodeJS.ErrnoException) => {
    throw badFiles(`cannot read ${path}: ${errnoText(cause)}`, cause);
  });

const badFiles = (message: string, cause: unknown): HoldfastError =>
  new HoldfastError('ConfigInvalid', message, {
    code: 'bad_tls_files',
    hint: 'Check the files given as certificate, key and client authority, and their permissions.',
    cause,
  });
