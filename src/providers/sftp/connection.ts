import { createHash } from 'node:crypto';
import { Client, type ConnectConfig, type SFTPWrapper } from 'ssh2';
import { type ErrorKind, HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { CredentialReader, Credentials } from '../credentials.ts';

export interface SftpPlace {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** `SHA256:…` fingerprints, as `ssh-keygen -l` shows them; the server must own one of these keys. */
  readonly hostKeys: readonly string[];
  /** `password`, or `private_key` (text) and its `passphrase`. Asked at each connect. */
  readonly credentials: CredentialReader;
}

const CONNECT_TIMEOUT_MS = 20_000;
/** A peer that is silent for four of these is gone, and all that waited for it fails. */
const KEEPALIVE_MS = 10_000;

/** One connection to the server at a time. */
export class SftpConnection {
  readonly #place: SftpPlace;
  #current: Promise<SFTPWrapper> | undefined;
  #client: Client | undefined;
  #closed = false;

  constructor(place: SftpPlace) {
    this.#place = place;
  }

  /** The session, made anew where the last one broke. */
  session(): Promise<SFTPWrapper> {
    this.#current ??= this.#connect().catch((error: unknown) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  close(): void {
    this.#closed = true;
    // Not `end`, which waits for the peer to end too.
    this.#client?.destroy();
  }

  async #connect(): Promise<SFTPWrapper> {
    const { credentials } = this.#place;
    const used = await credentials();
    try {
      return await this.#connectWith(used);
    } catch (error) {
      if (!isHoldfastError(error, 'PermissionDenied')) throw error;
      const others = await credentials.refused?.(used).catch(() => false);
      if (others !== true) throw error;
      return this.#connectWith(await credentials());
    }
  }

  #connectWith(secrets: Credentials): Promise<SFTPWrapper> {
    const client = new Client();
    this.#client = client;
    return new Promise((resolve, reject) => {
      let failure: unknown;
      const lost = (): void => {
        if (this.#client === client) this.#current = undefined;
        reject(failure ?? sftpError(new Error('the connection ended')));
      };
      client.on('error', (error) => {
        failure ??= sftpError(error);
        lost();
      });
      client.on('close', lost);
      client.on('ready', () => {
        client.sftp((error, sftp) => {
          if (error !== undefined) {
            reject(sftpError(error));
            client.end();
            return;
          }
          sftp.on('error', () => client.end());
          sftp.on('close', () => client.end());
          resolve(sftp);
        });
      });
      const mismatch = (seen: string): void => {
        failure = hostKeyMismatch(seen);
      };
      client.connect(connectConfig(this.#place, secrets, mismatch));
      if (this.#closed) client.destroy();
    });
  }
}

/** @param mismatch is told the fingerprint of a key that is none of the place's. */
function connectConfig(
  { host, port, username, hostKeys }: SftpPlace,
  { password, private_key, passphrase }: Credentials,
  mismatch: (seen: string) => void,
): ConnectConfig {
  return {
    host,
    port,
    username,
    readyTimeout: CONNECT_TIMEOUT_MS,
    keepaliveInterval: KEEPALIVE_MS,
    hostVerifier: (key: Buffer) => {
      const seen = fingerprintOf(key);
      if (hostKeys.includes(seen)) return true;
      mismatch(seen);
      return false;
    },
    ...(password === undefined ? {} : { password }),
    ...(private_key === undefined ? {} : { privateKey: private_key }),
    ...(passphrase === undefined ? {} : { passphrase }),
  };
}

const fingerprintOf = (key: Buffer): string =>
  `SHA256:${createHash('sha256')
    .update(key)
    .digest('base64')
    .replace(/={1,2}$/, '')}`;

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, 7). */
const EOF = 1;
const NO_SUCH_FILE = 2;
const FAILURE = 4;
const KINDS: Readonly<Record<number, ErrorKind>> = {
  [NO_SUCH_FILE]: 'NotFound',
  3: 'PermissionDenied',
  [FAILURE]: 'Unavailable',
  5: 'Unexpected',
  6: 'Unavailable',
  7: 'Unavailable',
  8: 'PermissionDenied',
};

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined;

export const isEndOfFile = (error: unknown): boolean => codeOf(error) === EOF;

/** The server's catch-all: a name that is taken, a full disk, anything. */
export const isFailure = (error: unknown): boolean =>
  error instanceof HoldfastError && error.context.sftpStatus === FAILURE;

/** The typed error of an SFTP answer, or of the connection below it. */
export function sftpError(error: unknown): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const code = codeOf(error);
  if (typeof code === 'number') {
    return new HoldfastError(KINDS[code] ?? 'Unavailable', `the SFTP server answered with status ${code}`, {
      ...(code === 8 ? { code: 'unsupported' } : {}),
      context: { sftpStatus: code },
      cause: error,
    });
  }
  return connectionError(error);
}

function connectionError(error: unknown): HoldfastError {
  const level = error instanceof Error && 'level' in error ? error.level : undefined;
  if (level === 'client-authentication') {
    return new HoldfastError('PermissionDenied', 'the SFTP server refused the user, key or password', {
      cause: error,
    });
  }
  const timedOut = level === 'client-timeout' || codeOf(error) === 'ETIMEDOUT';
  const message = timedOut
    ? 'the SFTP server did not answer in time'
    : 'the connection to the SFTP server failed';
  return new HoldfastError(timedOut ? 'Timeout' : 'Unavailable', message, { cause: error });
}

function hostKeyMismatch(seen: string): HoldfastError {
  return new HoldfastError(
    'ConfigInvalid',
    'the SFTP server showed a host key that is not the configured one',
    {
      code: 'host_key_mismatch',
      hint: 'Find out why; if the server has a new key, put its fingerprint into host_keys of this provider.',
      context: { seen },
    },
  );
}
