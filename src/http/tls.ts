import { createSecureContext } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { readSmallFile } from '../core/files.ts';
import { type Followed, type FollowOptions, followFiles } from './follow-files.ts';

/** PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** Authorities of client certificates. With it, only clients that show such a certificate are let in. */
  readonly clientCa?: string | undefined;
}

/** The same in files, which are followed: a certificate that was renewed is used without a restart. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string | undefined;
}

export type TlsSource = TlsMaterial | TlsFiles;

const FOLLOW_MS = 1_000;
const HANDSHAKE_MS = 10_000;

export const asksForClients = (tls: TlsSource): boolean =>
  ('cert' in tls ? tls.clientCa : tls.clientCaFile) !== undefined;

/** As `https.createServer` and `setSecureContext` take it. */
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
  return followFiles({ paths, read: () => readTls(source), clock, intervalMs: FOLLOW_MS, onReload });
}

async function readTls({ certFile, keyFile, clientCaFile }: TlsFiles): Promise<TlsMaterial> {
  const material = {
    cert: await readPem(certFile),
    key: await readPem(keyFile),
    clientCa: clientCaFile === undefined ? undefined : await readPem(clientCaFile),
  };
  try {
    // Also finds out that only one of the files has been replaced so far.
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
