/** What `providers add` knows of a kind of provider: what it must be told, and the table that comes of it. */
export interface Kind {
  readonly brief: string;
  readonly questions: readonly Question[];
  /** Fields of the credentials, if it takes any. */
  readonly secrets: readonly Secret[];
  /** Keys of `[[providers]]` beside `id` and `credentials`. */
  table(answers: Answers): Record<string, unknown>;
}

/** One of the flags, and how it is asked for on a terminal. */
interface Question {
  readonly flag: Flag;
  readonly ask: string;
  /** Taken when nothing is given or typed. Without one it must be. */
  readonly usual?: string;
}

interface Secret {
  readonly field: string;
  readonly ask: string;
  /** Shown as it is typed. */
  readonly open?: boolean;
  /** Need not be given. */
  readonly optional?: boolean;
  /** What is typed is the path of a file that holds it. */
  readonly inFile?: boolean;
  /** Asked only when this other field was given, or, with `!`, when it was not. */
  readonly when?: string;
}

export type Flag =
  | 'root'
  | 'endpoint'
  | 'region'
  | 'bucket'
  | 'prefix'
  | 'account'
  | 'url'
  | 'host'
  | 'port'
  | 'username'
  | 'hostKey';
export type Answers = Readonly<Partial<Record<Flag, string>>>;

const bucket: Question = { flag: 'bucket', ask: 'Bucket (it must exist)' };
const prefix: Question = { flag: 'prefix', ask: 'Prefix of all keys in it (may be empty)', usual: '' };
const accessKeys: readonly Secret[] = [
  { field: 'access_key_id', ask: 'Access key id', open: true },
  { field: 'secret_access_key', ask: 'Secret access key' },
];
const login: readonly Secret[] = [
  { field: 'username', ask: 'User name', open: true },
  { field: 'password', ask: 'Password' },
];

const given = (key: string, value: string | undefined): Record<string, string> =>
  value ? { [key]: value } : {};

/** A table of the S3 adapter. @param provider whose failure takes all its buckets along. */
function s3(
  provider: string | undefined,
  endpoint: string,
  { region = 'us-east-1', bucket: name, prefix: start }: Answers,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    adapter: 's3',
    endpoint,
    region,
    bucket: name,
    ...given('prefix', start),
    ...more,
    ...(provider === undefined ? {} : { domain: { provider, region } }),
  };
}

export const KINDS: Readonly<Record<string, Kind>> = {
  folder: {
    brief: 'a folder on this machine, e.g. another disk',
    questions: [{ flag: 'root', ask: 'Folder (made if it is not there)' }],
    secrets: [],
    table: ({ root }) => ({ adapter: 'fs', root }),
  },
  aws: {
    brief: 'Amazon S3',
    questions: [bucket, { flag: 'region', ask: 'Region', usual: 'us-east-1' }, prefix],
    secrets: accessKeys,
    table: (answers) => s3('aws', `https://s3.${answers.region}.amazonaws.com`, answers),
  },
  r2: {
    brief: 'Cloudflare R2',
    questions: [{ flag: 'account', ask: 'Account id' }, bucket, prefix],
    secrets: accessKeys,
    table: (answers) =>
      s3('cloudflare', `https://${answers.account}.r2.cloudflarestorage.com`, { ...answers, region: 'auto' }),
  },
  b2: {
    brief: 'Backblaze B2',
    questions: [bucket, { flag: 'region', ask: 'Region of the bucket, e.g. us-west-004' }, prefix],
    secrets: accessKeys,
    // It answers 501 to a condition on PUT.
    table: (answers) =>
      s3('backblaze', `https://s3.${answers.region}.backblazeb2.com`, answers, { slots: false }),
  },
  s3: {
    brief: 'MinIO, Ceph or any other server that speaks S3',
    questions: [
      { flag: 'endpoint', ask: 'Address, e.g. https://s3.example.org' },
      bucket,
      { flag: 'region', ask: 'Region', usual: 'us-east-1' },
      prefix,
    ],
    secrets: accessKeys,
    table: (answers) => s3(undefined, answers.endpoint!, answers),
  },
  webdav: {
    brief: 'WebDAV, e.g. Nextcloud',
    questions: [{ flag: 'url', ask: 'Address of the folder (it must exist)' }],
    secrets: login.map((secret) => ({ ...secret, optional: true })),
    table: ({ url }) => ({ adapter: 'webdav', url }),
  },
  sftp: {
    brief: 'a server with SFTP',
    questions: [
      { flag: 'host', ask: 'Host' },
      { flag: 'port', ask: 'Port', usual: '22' },
      { flag: 'username', ask: 'User name' },
      { flag: 'root', ask: 'Folder on the server (it must exist)' },
      { flag: 'hostKey', ask: 'Fingerprint of its key (SHA256:…)' },
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
      adapter: 'sftp',
      host,
      port: Number(port),
      username,
      root,
      host_keys: hostKey!.split(','),
    }),
  },
  rclone: {
    brief: 'any storage that `rclone serve webdav` reaches',
    questions: [{ flag: 'url', ask: 'Where rclone serves', usual: 'http://127.0.0.1:8080' }],
    secrets: login,
    table: ({ url }) => ({ adapter: 'webdav', url }),
  },
  node: {
    brief: 'a Holdfast node',
    questions: [{ flag: 'url', ask: 'Its address, e.g. https://node.example.org:7420' }],
    secrets: [{ field: 'token', ask: 'Token (empty: none)', optional: true }],
    table: ({ url }) => ({ adapter: 'http', url }),
  },
};
