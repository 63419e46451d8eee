import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { readSmallFile } from '../core/files.ts';
import { readSecret } from './credentials.ts';
import type { TlsIdentity } from './wire/client.ts';

/** PEM files as the configuration names them. They are read once, when the provider is made. */
export interface ClientTlsFiles {
  /** Authorities to trust instead of the system's. */
  readonly caFile?: string | undefined;
  /** What to show a server that asks who we are: a certificate, with the chain above it if there is one … */
  readonly clientCertFile?: string | undefined;
  /** … and its key, which others must not be able to read. */
  readonly clientKeyFile?: string | undefined;
}

/**
 * @throws HoldfastError `ConfigInvalid` for a file that cannot be read or used, for one of certificate and key alone, and
 * for two that do not belong together.
 */
export async function readTls(files: ClientTlsFiles, provider: string): Promise<TlsIdentity> {
  const { caFile, clientCertFile, clientKeyFile } = files;
  if (caFile === undefined && clientCertFile === undefined && clientKeyFile === undefined) return {};
  if ((clientCertFile === undefined) !== (clientKeyFile === undefined)) {
    throw new HoldfastError(
      'ConfigInvalid',
      `provider "${provider}" has only one of client_cert_file and client_key_file`,
      { provider, hint: 'Give both, or neither.' },
    );
  }
  const identity = {
    ca: caFile === undefined ? undefined : await readPem(caFile, 'authority', provider),
    clientCert:
      clientCertFile === undefined ? undefined : await readPem(clientCertFile, 'certificate', provider),
    clientKey: clientKeyFile === undefined ? undefined : await readSecret(clientKeyFile, 'key', provider),
  };
  // Eight milliseconds of every command's start, for the few that name files.
  const { createSecureContext } = await import('node:tls');
  try {
    const { ca, clientCert: cert, clientKey: key } = identity;
    createSecureContext({ ca, cert, key });
  } catch (cause) {
    throw badFiles(`its certificates and key cannot be used: ${(cause as Error).message}`, provider, cause);
  }
  return identity;
}

/** TLS takes a text without certificates for no authority at all, and then trusts nobody. */
const CERTIFICATE = /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/;

const MAX_PEM_BYTES = 1024 * 1024;

async function readPem(path: string, what: string, provider: string): Promise<string> {
  const text = await readSmallFile(path, MAX_PEM_BYTES).catch((cause: unknown) => {
    throw badFiles(`the ${what} file ${path} cannot be read: ${errnoText(cause)}`, provider, cause);
  });
  if (!CERTIFICATE.test(text)) throw badFiles(`there is no certificate in ${path}`, provider);
  return text;
}

const badFiles = (message: string, provider: string, cause?: unknown): HoldfastError =>
  new HoldfastError('ConfigInvalid', message, {
    code: 'bad_tls_files',
    hint: 'ca_file, client_cert_file and client_key_file are PEM; the key belongs to the first certificate of its file.',
    provider,
    ...(cause === undefined ? {} : { cause }),
  });
