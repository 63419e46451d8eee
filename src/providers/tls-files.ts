import { readFile } from 'node:fs/promises';
import { HoldfastError } from '../core/errors.ts';
import { readSecret } from './credentials.ts';
import type { TlsIdentity } from './wire/client.ts';

/** PEM files as the configuration names them. They are read once, when the provider is made. */
export interface TlsFiles {
  /** Authorities to trust instead of the system's. */
  readonly caFile?: string | undefined;
  /** What to show a server that asks who we are: a certificate, with the chain above it if there is one … */
  readonly clientCertFile?: string | undefined;
  /** … and its key, which others must not be able to read. */
  readonly clientKeyFile?: string | undefined;
}

/** @throws HoldfastError `ConfigInvalid` for a file that cannot be read, and for one of certificate and key alone. */
export async function readTls(files: TlsFiles, provider: string): Promise<TlsIdentity> {
  const { caFile, clientCertFile, clientKeyFile } = files;
  if ((clientCertFile === undefined) !== (clientKeyFile === undefined)) {
    throw new HoldfastError(
      'ConfigInvalid',
      `provider "${provider}" has only one of client_cert_file and client_key_file`,
      { provider, hint: 'Give both, or neither.' },
    );
  }
  return {
    ca: caFile === undefined ? undefined : await readPem(caFile, 'authority', provider),
    clientCert:
      clientCertFile === undefined ? undefined : await readPem(clientCertFile, 'certificate', provider),
    clientKey: clientKeyFile === undefined ? undefined : await readSecret(clientKeyFile, 'key', provider),
  };
}

function readPem(path: string, what: string, provider: string): Promise<string> {
  return readFile(path, 'utf8').catch((cause: unknown) => {
    throw new HoldfastError('ConfigInvalid', `the ${what} file ${path} cannot be read`, { provider, cause });
  });
}
