import { bool, text } from '../../core/fields.ts';
import { type CredentialSource, credentialsFrom, field, inForm } from '../credentials.ts';
import { credentials, TLS_KEYS, url, word } from '../keys.ts';
import { type AdapterKind, optional, required } from '../kind.ts';
import type { Answers, Question, Secret } from '../setup.ts';
import { type ClientTlsFiles, readTls } from '../tls-files.ts';

/** What an entry of this kind says. */
export interface S3Keys extends ClientTlsFiles {
  readonly endpoint: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix?: string | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly slots?: boolean | undefined;
  /** Fields `access_key_id`, `secret_access_key`, `session_token` if there is one. */
  readonly credentials: CredentialSource;
}

const keyPrefix = text('', /^[^\0]{0,512}$/, 'a text of up to 512 characters');

const BUCKET: Question = {
  flag: 'bucket',
  ask: 'Bucket (it must exist)',
  brief: 'Bucket, which must exist',
};
const PREFIX: Question = {
  flag: 'prefix',
  ask: 'Prefix of all keys in it (may be empty)',
  usual: '',
  brief: 'Prefix of all keys in the bucket',
};
const REGION = { flag: 'region', brief: 'Region of the bucket' };
const US_EAST: Question = { ...REGION, ask: 'Region', usual: 'us-east-1' };
const ENDPOINT: Question = {
  flag: 'endpoint',
  ask: 'Address, e.g. https://s3.example.org',
  brief: 'Address of an S3 server',
  placeholder: 'URL',
};
const ACCOUNT: Question = {
  flag: 'account',
  ask: 'Account id',
  brief: 'Account id of Cloudflare',
  placeholder: 'ID',
};
const ACCESS_KEYS: readonly Secret[] = [
  { field: 'access_key_id', ask: 'Access key id', open: true },
  { field: 'secret_access_key', ask: 'Secret access key' },
];

/** @param provider whose failure takes all its buckets along. */
function tableOf(
  provider: string | undefined,
  endpoint: string,
  { region = 'us-east-1', bucket, prefix }: Answers,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    endpoint,
    region,
    bucket,
    ...(prefix ? { prefix } : {}),
    ...more,
    ...(provider === undefined ? {} : { domain: { provider, region } }),
  };
}

export const s3: AdapterKind<'s3', S3Keys> = {
  name: 's3',
  keys: {
    endpoint: required(url, 'address of the server'),
    region: required(word, 'its region; some servers take any'),
    bucket: required(word, 'which must exist'),
    prefix: optional(keyPrefix, 'put before every key', ''),
    pathStyle: optional(bool(true), 'the bucket in the path; false: in the host name', true),
    slots: optional(bool(true), 'whether slots are kept there: needs `If-None-Match` on PUT', true),
    ...TLS_KEYS,
    credentials: credentials(
      '`access_key_id`, `secret_access_key` and `session_token` if there is one',
      true,
    ),
  },
  async open({ credentials: source, ...options }, deps) {
    const { createS3Adapter } = await import('./driver.ts');
    const { id } = options;
    const keys = inForm(credentialsFrom(source, id, deps), (given) => ({
      accessKeyId: field(given, 'access_key_id', id),
      secretAccessKey: field(given, 'secret_access_key', id),
      sessionToken: given.session_token,
    }));
    return createS3Adapter({ ...options, credentials: keys, ...(await readTls(options, id)), ...deps });
  },
  setups: [
    {
      name: 'aws',
      brief: 'Amazon S3',
      questions: [BUCKET, US_EAST, PREFIX],
      secrets: ACCESS_KEYS,
      table: (answers) => tableOf('aws', `https://s3.${answers.region}.amazonaws.com`, answers),
    },
    {
      name: 'r2',
      brief: 'Cloudflare R2',
      questions: [ACCOUNT, BUCKET, PREFIX],
      secrets: ACCESS_KEYS,
      table: (answers) =>
        tableOf('cloudflare', `https://${answers.account}.r2.cloudflarestorage.com`, {
          ...answers,
          region: 'auto',
        }),
    },
    {
      name: 'b2',
      brief: 'Backblaze B2',
      questions: [BUCKET, { ...REGION, ask: 'Region of the bucket, e.g. us-west-004' }, PREFIX],
      secrets: ACCESS_KEYS,
      // It answers 501 to a condition on PUT.
      table: (answers) =>
        tableOf('backblaze', `https://s3.${answers.region}.backblazeb2.com`, answers, { slots: false }),
    },
    {
      name: 's3',
      brief: 'MinIO, Ceph or any other server that speaks S3',
      questions: [ENDPOINT, BUCKET, US_EAST, PREFIX],
      secrets: ACCESS_KEYS,
      table: (answers) => tableOf(undefined, answers.endpoint!, answers),
    },
  ],
};
