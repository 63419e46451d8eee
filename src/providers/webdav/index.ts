import { type CredentialSource, credentialsFrom } from '../credentials.ts';
import { credentials, LOGIN, refuseCleartext, TLS_KEYS, url } from '../keys.ts';
import { type AdapterKind, required } from '../kind.ts';
import { type ClientTlsFiles, readTls } from '../tls-files.ts';

/** What an entry of this kind says. */
export interface WebDavKeys extends ClientTlsFiles {
  readonly url: string;
  /** Fields `username` and `password`, or `token`. */
  readonly credentials?: CredentialSource | undefined;
}

const URL_FLAG = { flag: 'url', brief: 'Address of a WebDAV folder or a node' };

export const webdav: AdapterKind<'webdav', WebDavKeys> = {
  name: 'webdav',
  keys: {
    url: required(url, 'address of the folder, which must exist'),
    ...TLS_KEYS,
    credentials: credentials('`username` and `password`, or `token`'),
  },
  check: ({ url: address, credentials: source }, refuse) => refuseCleartext(source, { url: address }, refuse),
  async open({ credentials: source, ...options }, deps) {
    const { createWebDavAdapter } = await import('./driver.ts');
    const secrets = credentialsFrom(source, options.id, deps);
    return createWebDavAdapter({
      ...options,
      credentials: secrets,
      ...(await readTls(options, options.id)),
      ...deps,
    });
  },
  setups: [
    {
      name: 'webdav',
      brief: 'WebDAV, e.g. Nextcloud',
      questions: [{ ...URL_FLAG, ask: 'Address of the folder (it must exist)' }],
      secrets: LOGIN.map((secret) => ({ ...secret, optional: true })),
      table: ({ url: address }) => ({ url: address }),
    },
    {
      name: 'rclone',
      brief: 'any storage that `rclone serve webdav` reaches',
      questions: [{ ...URL_FLAG, ask: 'Where rclone serves', usual: 'http://127.0.0.1:8080' }],
      secrets: LOGIN,
      table: ({ url: address }) => ({ url: address }),
    },
  ],
};
