import { bytes } from '../../core/fields.ts';
import { type CredentialSource, credentialsFrom } from '../credentials.ts';
import { credentials, refuseCleartext, TLS_KEYS, url } from '../keys.ts';
import { type AdapterKind, optional } from '../kind.ts';
import { type ClientTlsFiles, readTls } from '../tls-files.ts';

/** What an entry of this kind says. */
export interface IpfsKeys extends ClientTlsFiles {
  readonly api?: string | undefined;
  readonly gateway?: string | undefined;
  readonly maxBlobBytes?: number | undefined;
  /** Fields `username` and `password`, or `token`. */
  readonly credentials?: CredentialSource | undefined;
}

const EXCHANGEABLE_BYTES = 2 ** 20;

export const ipfs: AdapterKind<'ipfs', IpfsKeys> = {
  name: 'ipfs',
  keys: {
    api: optional(url, 'Kubo’s RPC; without it the provider can only be read'),
    gateway: optional(url, 'a trustless gateway to read from instead of the RPC'),
    ...TLS_KEYS,
    maxBlobBytes: optional(
      bytes(0, 64 * 1024, 2 ** 30),
      'longest blob; IPFS nodes exchange none over 1 MiB',
      EXCHANGEABLE_BYTES,
    ),
    credentials: credentials('`username` and `password`, or `token`'),
  },
  check: ({ api, gateway, credentials: source }, refuse) => refuseCleartext(source, { api, gateway }, refuse),
  async open({ credentials: source, ...options }, deps) {
    const { createIpfsAdapter } = await import('./driver.ts');
    const secrets = credentialsFrom(source, options.id, deps);
    return createIpfsAdapter({
      ...options,
      credentials: secrets,
      ...(await readTls(options, options.id)),
      ...deps,
    });
  },
};
