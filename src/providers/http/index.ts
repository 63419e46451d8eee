import { bool } from '../../core/fields.ts';
import { type CredentialSource, credentialsFrom } from '../credentials.ts';
import { credentials, fromHome, path, refuseCleartext, TLS_KEYS, url } from '../keys.ts';
import { type AdapterKind, optional, required } from '../kind.ts';
import { type ClientTlsFiles, readTls } from '../tls-files.ts';

/** What an entry of this kind says. */
export interface HttpKeys extends ClientTlsFiles {
  readonly url: string;
  readonly socketPath?: string | undefined;
  readonly durable?: boolean | undefined;
  /** Field `token`. */
  readonly credentials?: CredentialSource | undefined;
}

export const http: AdapterKind<'http', HttpKeys> = {
  name: 'http',
  keys: {
    url: required(url, 'address of the node’s root'),
    socketPath: optional(path, 'a Unix socket to reach the node by', undefined, fromHome),
    durable: optional(bool(true), 'false for a node that keeps everything in memory', true),
    ...TLS_KEYS,
    credentials: credentials('`token`'),
  },
  check(options, refuse) {
    if (options.socketPath === undefined) refuseCleartext(options.credentials, { url: options.url }, refuse);
  },
  async open({ credentials: source, ...options }, deps) {
    const { createHttpAdapter } = await import('./driver.ts');
    const secrets = credentialsFrom(source, options.id, deps);
    return createHttpAdapter({
      ...options,
      credentials: secrets,
      ...(await readTls(options, options.id)),
      ...deps,
    });
  },
  setups: [
    {
      name: 'node',
      brief: 'a Holdfast node',
      questions: [
        {
          flag: 'url',
          ask: 'Its address, e.g. https://node.example.org:7420',
          brief: 'Address of a WebDAV folder or a node',
        },
      ],
      secrets: [{ field: 'token', ask: 'Token (empty: none)', optional: true }],
      table: ({ url: address }) => ({ url: address }),
    },
  ],
};
