import { type Field, guarded, isTable, listOf, text } from '../core/fields.ts';
import { isCleartext } from '../core/loopback.ts';
import type { CredentialSource } from './credentials.ts';
import { type AdapterKey, optional, type Refuse } from './kind.ts';
import type { Secret } from './setup.ts';
import type { ClientTlsFiles } from './tls-files.ts';

/** Fields and keys that several kinds of providers share. */

export const path: Field<string> = text('', /^[^\0]{1,4096}$/, 'a path');
export const word: Field<string> = text(
  '',
  /^[^\s\0]{1,255}$/,
  'a text without spaces, up to 255 characters',
);

/** Passwords do not stand here either. */
const urlText = text(
  '',
  /^https?:\/\/[^\s@/?#]{1,300}(?:[/?#][^\s]{0,2000})?$/,
  'a http:// or https:// address without user and password',
);
export const url: Field<string> = {
  ...urlText,
  secret: true,
  read: (value) => {
    const read = urlText.read(value);
    return read !== undefined && URL.canParse(read) ? read : undefined;
  },
};

/** For keys that name a file of this machine. */
export const fromHome: Pick<AdapterKey<string>, 'fromHome'> = {
  fromHome: (value, place) => place(value),
};

/** Of everything that speaks HTTP. */
export const TLS_KEYS: { readonly [K in keyof ClientTlsFiles]-?: AdapterKey<string> } = {
  caFile: optional(path, 'authorities to trust instead of the system’s, PEM', undefined, fromHome),
  clientCertFile: optional(path, 'certificate to show to a server that asks, PEM', undefined, fromHome),
  clientKeyFile: optional(guarded(path), 'its key, PEM, mode 0600', undefined, fromHome),
};

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
const source: Field<CredentialSource> = {
  default: { env: {} },
  secret: true,
  guarded: true,
  allowed:
    '{ env = { field = "VARIABLE", … } } with no variable of HOLDFAST_*, { file = "path" } or { command = ["program", …], pass_env = ["VARIABLE", …] }',
  read(value) {
    if (!isTable(value)) return undefined;
    if ('command' in value) return commandOf(value);
    if (Object.keys(value).length !== 1) return undefined;
    const [[kind, named]] = Object.entries(value) as [[string, unknown]];
    if (kind === 'file') {
      const file = path.read(named);
      return file === undefined ? undefined : { file };
    }
    if (kind !== 'env' || !isTable(named)) return undefined;
    const valid = Object.values(named).every((name) => variable.read(name) !== undefined);
    return valid ? { env: named as Record<string, string> } : undefined;
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

/** @param fields what the source has to give, for the reference. */
export const credentials = (fields: string, isRequired = false): AdapterKey<CredentialSource> => ({
  field: source,
  required: isRequired,
  default: undefined,
  help: `source of ${fields}`,
  fromHome(given, place) {
    if ('file' in given) return { file: place(given.file) };
    if (!('command' in given)) return given;
    const [program = '', ...rest] = given.command;
    // A bare name is looked for in the PATH.
    return { ...given, command: [program.includes('/') ? place(program) : program, ...rest] };
  },
});

/** Refuses secrets on their way over an open network. @param urls where they would go, by key. */
export function refuseCleartext(
  secrets: CredentialSource | undefined,
  urls: Readonly<Record<string, string | undefined>>,
  refuse: Refuse,
): void {
  if (secrets === undefined) return;
  for (const [key, value] of Object.entries(urls)) {
    if (value === undefined || !isCleartext(value)) continue;
    refuse(
      key,
      'would send its credentials over the network unencrypted',
      'https://, or http:// to this machine',
    );
  }
}

/** What `providers add` asks for where a user name and a password let in. */
export const LOGIN: readonly Secret[] = [
  { field: 'username', ask: 'User name', open: true },
  { field: 'password', ask: 'Password' },
];
