import { bool, integer, listOf, text } from '../../core/fields.ts';
import { type CredentialSource, credentialsFrom } from '../credentials.ts';
import { credentials, path, word } from '../keys.ts';
import { type AdapterKind, optional, required } from '../kind.ts';

/** What an entry of this kind says. */
export interface SftpKeys {
  readonly host: string;
  readonly port?: number | undefined;
  readonly username: string;
  readonly root: string;
  readonly hostKeys: readonly string[];
  readonly slots?: boolean | undefined;
  /** Field `password`, or `private_key` and its `passphrase` if it has one. */
  readonly credentials: CredentialSource;
}

const PORT = 22;
const fingerprint = text(
  '',
  /^SHA256:[A-Za-z0-9+/]{43}=?$/,
  'a fingerprint as ssh-keygen -l prints it (SHA256:…)',
);

export const sftp: AdapterKind<'sftp', SftpKeys> = {
  name: 'sftp',
  keys: {
    host: required(word, 'the server'),
    port: optional(integer(PORT, 1, 65_535), 'its port', PORT),
    username: required(word, 'user there'),
    root: required(path, 'folder there, which must exist'),
    hostKeys: required(listOf(fingerprint, [], 16), 'fingerprints; the server must own one of these keys'),
    slots: optional(bool(true), 'whether slots are kept there: needs hard links', true),
    credentials: credentials('`password`, or `private_key` and its `passphrase`', true),
  },
  async open({ credentials: source, port = PORT, ...options }, deps) {
    const { createSftpAdapter } = await import('./driver.ts');
    const secrets = credentialsFrom(source, options.id, deps);
    return createSftpAdapter({ ...options, port, credentials: secrets, ...deps });
  },
  setups: [
    {
      name: 'sftp',
      brief: 'a server with SFTP',
      questions: [
        { flag: 'host', ask: 'Host', brief: 'SFTP server' },
        { flag: 'port', ask: 'Port', usual: String(PORT), brief: `Its port (default: ${PORT})` },
        { flag: 'username', ask: 'User name', brief: 'User there', placeholder: 'NAME' },
        {
          flag: 'root',
          ask: 'Folder on the server (it must exist)',
          brief: 'Folder here, or on the SFTP server',
          placeholder: 'DIR',
        },
        {
          flag: 'hostKey',
          ask: 'Fingerprint of its key (SHA256:…)',
          brief: 'Fingerprint of a key of the SFTP server',
          placeholder: 'SHA256:…',
          several: true,
        },
      ],
      secrets: [
        {
          field: 'private_key',
          ask: 'File of the private key (empty: a password)',
          open: true,
          optional: true,
          inFile: true,
        },
        { field: 'passphrase', ask: 'Its passphrase (empty: none)', optional: true, when: 'private_key' },
        { field: 'password', ask: 'Password', when: '!private_key' },
      ],
      table: ({ host, port, username, root, hostKey }) => ({
        host,
        port: Number(port),
        username,
        root,
        host_keys: hostKey!.split(','),
      }),
    },
  ],
};
