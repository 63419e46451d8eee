import { createHash } from 'node:crypto';
import { Client, type SFTPWrapper } from 'ssh2';
import { isHoldfastError } from '../../core/errors.ts';
import type { CredentialReader, Credentials } from '../credentials.ts';
import { hostKeyMismatch, sftpError } from './errors.ts';

export interface SftpPlace {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** `SHA256:…` fingerprints, as `ssh-keygen -l` shows them; the server must own one of these keys. */
  readonly hostKeys: readonly string[];
  /** `password`, or `private_key` (text) and its `passphrase`. Asked at each connect. */
  readonly credentials: CredentialReader;
}

export interface SftpConnection {
  /** The session, made anew where the last one broke. */
  session(): Promise<SFTPWrapper>;
  close(): void;
}

const CONNECT_TIMEOUT_MS = 20_000;
/** A peer that is silent for four of these is gone, and all that waited for it fails. */
const KEEPALIVE_MS = 10_000;

export function createSftpConnection(place: SftpPlace): SftpConnection {
  let current: Promise<SFTPWrapper> | undefined;
  let client: Client | undefined;
  let closed = false;

  const connect = async (): Promise<SFTPWrapper> => {
    const used = await place.credentials();
    try {
      return await connectWith(used);
    } catch (error) {
      if (!isHoldfastError(error, 'PermissionDenied')) throw error;
      const others = await place.credentials.refused?.(used).catch(() => false);
      if (others !== true) throw error;
      return connectWith(await place.credentials());
    }
  };
  const connectWith = async ({ password, private_key, passphrase }: Credentials): Promise<SFTPWrapper> => {
    const mine = new Client();
    client = mine;
    return new Promise((resolve, reject) => {
      let failure: unknown;
      const lost = (): void => {
        if (client === mine) current = undefined;
        reject(failure ?? sftpError(new Error('the connection ended')));
      };
      mine.on('error', (error) => {
        failure ??= sftpError(error);
        lost();
      });
      mine.on('close', lost);
      mine.on('ready', () => {
        mine.sftp((error, sftp) => {
          if (error !== undefined) {
            reject(sftpError(error));
            mine.end();
            return;
          }
          sftp.on('error', () => mine.end());
          sftp.on('close', () => mine.end());
          resolve(sftp);
        });
      });
      mine.connect({
        host: place.host,
        port: place.port,
        username: place.username,
        readyTimeout: CONNECT_TIMEOUT_MS,
        keepaliveInterval: KEEPALIVE_MS,
        hostVerifier: (key: Buffer) => {
          const seen = fingerprintOf(key);
          if (place.hostKeys.includes(seen)) return true;
          failure = hostKeyMismatch(seen);
          return false;
        },
        ...(password === undefined ? {} : { password }),
        ...(private_key === undefined ? {} : { privateKey: private_key }),
        ...(passphrase === undefined ? {} : { passphrase }),
      });
      if (closed) mine.destroy();
    });
  };

  return {
    session() {
      current ??= connect().catch((error: unknown) => {
        current = undefined;
        throw error;
      });
      return current;
    },
    close() {
      closed = true;
      // Not `end`, which waits for the peer to end too.
      client?.destroy();
    },
  };
}

const fingerprintOf = (key: Buffer): string =>
  `SHA256:${createHash('sha256')
    .update(key)
    .digest('base64')
    .replace(/={1,2}$/, '')}`;
