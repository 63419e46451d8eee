import type { CredentialSource } from '../providers/credentials.ts';
import type { AdapterEntry } from '../providers/factory.ts';
import { bool, bytes, type Field, guarded, integer, listOf, text } from './fields.ts';
import { isTable } from './schema.ts';

/** A key of one kind of provider. Without a default it stays undefined. */
export interface AdapterKey {
  readonly field: Field<unknown>;
  readonly required: boolean;
}

const path = text('', /^[^\0]{1,4096}$/, 'a path');
/** Passwords do not stand here either. */
const urlText = text(
  '',
  /^https?:\/\/[^\s@/?#]{1,300}(?:[/?#][^\s]{0,2000})?$/,
  'a http:// or https:// address without user and password',
);
const url: Field<string> = {
  ...urlText,
  secret: true,
  read: (value) => {
    const read = urlText.read(value);
    return read !== undefined && URL.canParse(read) ? read : undefined;
  },
};
const word = text('', /^[^\s\0]{1,255}$/, 'a text without spaces, up to 255 characters');
const prefix = text('', /^[^\0]{0,512}$/, 'a text of up to 512 characters');
const command = listOf(text('', /^[^\0]{1,4096}$/, 'a text'), [], 64);

/** Ours are no provider's: a configuration from elsewhere would only have to name them to be sent them. */
const variable = text(
  '',
  /^(?!HOLDFAST_)[A-Za-z_][A-Za-z0-9_]{0,127}$/i,
  'the name of an environment variable, none of HOLDFAST_*',
);
const variables = listOf(variable, [], 32);

/**
 * One of `{ env = { field = "VARIABLE" } }`, `{ file = "…" }`, `{ command = ["…"], pass_env = ["VARIABLE"] }`. Never the
 * secret itself.
 */
const credentials: Field<CredentialSource | undefined> = {
  default: undefined,
  secret: true,
  guarded: true,
  allowed:
    '{ env = { field = "VARIABLE", … } } with no variable of HOLDFAST_*, { file = "path" } or { command = ["program", …], pass_env = ["VARIABLE", …] }',
  read(value) {
    if (!isTable(value)) return undefined;
    if ('command' in value) return commandOf(value);
    if (Object.keys(value).length !== 1) return undefined;
    const [[kind, source]] = Object.entries(value) as [[string, unknown]];
    if (kind === 'file') {
      const file = path.read(source);
      return file === undefined ? undefined : { file };
    }
    if (kind !== 'env' || !isTable(source)) return undefined;
    const valid = Object.values(source).every((name) => variable.read(name) !== undefined);
    return valid ? { env: source as Record<string, string> } : undefined;
  },
};

function commandOf({
  command: words,
  pass_env,
  ...rest
}: Record<string, unknown>): CredentialSource | undefined {
  const read = command.read(words);
  const passEnv = pass_env === undefined ? [] : variables.read(pass_env);
  if (read === undefined || passEnv === undefined || Object.keys(rest).length > 0) return undefined;
  return passEnv.length === 0 ? { command: read } : { command: read, passEnv };
}

const must = (field: Field<unknown>): AdapterKey => ({ field, required: true });
const may = (field: Field<unknown>): AdapterKey => ({ field, required: false });

/** Of everything that speaks HTTP. */
const tls = { caFile: may(path), clientCertFile: may(path), clientKeyFile: may(guarded(path)) };

/** What `[[providers]]` takes beside the common keys, by adapter. */
export const ADAPTER_KEYS: {
  readonly [A in AdapterEntry['adapter']]: Readonly<Record<string, AdapterKey>>;
} = {
  fs: { root: must(text('', /^[^\0]{1,4096}$/, 'a path, absolute or from the home')) },
  memory: {},
  s3: {
    endpoint: must(url),
    region: must(word),
    bucket: must(word),
    prefix: may(prefix),
    pathStyle: may(bool(false)),
    slots: may(bool(true)),
    ...tls,
    credentials: must(credentials),
  },
  webdav: { url: must(url), ...tls, credentials: may(credentials) },
  sftp: {
    host: must(word),
    port: may(integer(22, 1, 65_535)),
    username: must(word),
    root: must(path),
    hostKeys: must(
      listOf(
        text('', /^SHA256:[A-Za-z0-9+/]{43}=?$/, 'a fingerprint as ssh-keygen -l prints it (SHA256:…)'),
        [],
        16,
      ),
    ),
    slots: may(bool(true)),
    credentials: must(credentials),
  },
  http: {
    url: must(url),
    socketPath: may(path),
    durable: may(bool(true)),
    ...tls,
    credentials: may(credentials),
  },
  ipfs: {
    api: may(url),
    gateway: may(url),
    ...tls,
    maxBlobBytes: may(bytes(0, 64 * 1024, 2 ** 30)),
    credentials: may(credentials),
  },
};
