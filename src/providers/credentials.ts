import { type Clock, timeoutSignal } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { openRegular, readAtMost } from '../core/files.ts';

/** Where a provider's secrets come from. They are never in the configuration itself, a manifest or a log. */
export type CredentialSource =
  /** Field names to names of environment variables. */
  | { readonly env: Readonly<Record<string, string>> }
  /** A JSON object of texts; readable by its owner only. */
  | { readonly file: string }
  /** A program, without a shell, that prints such an object. Besides a few common variables it gets `passEnv`. */
  | { readonly command: readonly string[]; readonly passEnv?: readonly string[] | undefined };

/** Fields by name, e.g. `access_key_id`. `expires_at` (ISO 8601) says when to ask again. */
export type Credentials = Readonly<Record<string, string>>;

/** Gives a provider's secrets, from memory where it can. */
export interface CredentialReader<T = Credentials> {
  (): Promise<T>;
  /**
   * The server refused `used`: reads the source again, once in a while. True if other secrets are to be had now. Absent
   * where there is no source to read again.
   */
  refused?(used: T): Promise<boolean>;
}

export interface CredentialDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

const MAX_BYTES = 64 * 1024;
const COMMAND_TIMEOUT_MS = 30_000;
/** A source is read again for refused secrets no more often: a wrong one must not run a program per request. */
const REREAD_MS = 10_000;
/** They are renewed this long before they expire. */
const RENEW_EARLY_MS = 60_000;

/** Asks the source once, again shortly before what it gave expires, and again when the server refuses it. */
export function credentialsFrom(
  source: CredentialSource | undefined,
  provider: string,
  { env, clock }: CredentialDeps,
): CredentialReader {
  let held: { readonly value: Promise<Credentials>; expires: number } | undefined;
  let rereadMs = Number.NEGATIVE_INFINITY;
  const load = async (): Promise<Credentials> => {
    if (source === undefined) return {};
    if ('env' in source) return fromEnv(source.env, env, provider);
    return parse(
      'file' in source
        ? await readSecret(source.file, 'credentials', provider)
        : await runCommand(source, { env, clock }, provider),
      provider,
    );
  };
  const ask = (): Promise<Credentials> => {
    const asked = { value: load(), expires: Number.POSITIVE_INFINITY };
    held = asked;
    asked.value.then(
      ({ expires_at }) => {
        if (expires_at !== undefined) asked.expires = Date.parse(expires_at) || 0;
      },
      () => {
        if (held === asked) held = undefined;
      },
    );
    return asked.value;
  };
  const current = (): Promise<Credentials> =>
    held !== undefined && clock.now() < held.expires - RENEW_EARLY_MS ? held.value : ask();
  const refused = async (used: Credentials): Promise<boolean> => {
    const others = async (): Promise<boolean> => !sameFields(await current(), used);
    if (await others()) return true;
    const now = clock.monotonic();
    if (now - rereadMs < REREAD_MS) return false;
    rereadMs = now;
    held = undefined;
    return others();
  };
  return Object.assign(current, { refused });
}

/** The same secrets in another form. */
export function inForm<T extends object>(
  reader: CredentialReader,
  form: (given: Credentials) => T,
): CredentialReader<T> {
  const origins = new WeakMap<T, Credentials>();
  const read = async (): Promise<T> => {
    const given = await reader();
    const made = form(given);
    origins.set(made, given);
    return made;
  };
  const refused = async (used: T): Promise<boolean> => {
    const given = origins.get(used);
    return given !== undefined && (await reader.refused?.(given)) === true;
  };
  return Object.assign(read, { refused });
}

const sameFields = (a: Credentials, b: Credentials): boolean => {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
};

/** @throws HoldfastError `ConfigInvalid` when the field is missing. */
export function field(credentials: Credentials, name: string, provider: string): string {
  const value = credentials[name];
  if (value !== undefined && value !== '') return value;
  throw invalid(provider, `the credentials of provider "${provider}" lack the field ${name}`);
}

function fromEnv(
  names: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string | undefined>>,
  provider: string,
): Credentials {
  const out: Record<string, string> = {};
  for (const [name, variable] of Object.entries(names)) {
    if (/^HOLDFAST_/i.test(variable))
      throw invalid(provider, `the environment variable ${variable} is Holdfast's own and no credential`);
    const value = env[variable];
    if (value === undefined) throw invalid(provider, `the environment variable ${variable} is not set`);
    out[name] = value;
  }
  return out;
}

/** A file that only its owner can read. @param what for messages. @throws HoldfastError `ConfigInvalid`. */
export async function readSecret(path: string, what: string, provider: string): Promise<string> {
  const file = await openRegular(path, 'followed').catch((error: unknown) => {
    throw invalid(provider, `the ${what} file ${path} cannot be read`, error);
  });
  try {
    const { mode, size } = await file.stat();
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw invalid(provider, `the ${what} file ${path} can be read by others; run chmod 600 on it`);
    }
    if (size > MAX_BYTES) throw invalid(provider, `the ${what} file ${path} is too large`);
    return (await readAtMost(file, MAX_BYTES)).toString('utf8');
  } finally {
    await file.close();
  }
}

async function runCommand(
  { command: [program, ...args], passEnv = [] }: Extract<CredentialSource, { readonly command: unknown }>,
  { env, clock }: CredentialDeps,
  provider: string,
): Promise<string> {
  if (program === undefined) throw invalid(provider, 'the credentials command is empty');
  // Three milliseconds of every command's start, for the few that run a program.
  const { execFile } = await import('node:child_process');
  return new Promise((resolve, reject) => {
    // Killed for good: what ignores SIGTERM would be waited for without end.
    const options = {
      maxBuffer: MAX_BYTES,
      env: childEnv(env, passEnv),
      signal: timeoutSignal(clock, COMMAND_TIMEOUT_MS),
      killSignal: 'SIGKILL' as const,
    };
    execFile(program, args, options, (error, stdout) => {
      // The failure's own text may quote what was printed, so it stays here.
      if (error === null) resolve(stdout);
      else
        reject(
          invalid(
            provider,
            `the credentials command ${program} failed (${error.code ?? error.signal ?? 'no output'})`,
          ),
        );
    });
  });
}

function parse(text: string, provider: string): Credentials {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(provider, 'the credentials are not JSON'); // the parser's message quotes them
  }
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (isRecord && Object.values(value as object).every((item) => typeof item === 'string'))
    return value as Credentials;
  throw invalid(provider, 'the credentials are not a JSON object of texts');
}

function invalid(provider: string, message: string, cause?: unknown): HoldfastError {
  return new HoldfastError('ConfigInvalid', message, {
    provider,
    code: 'credentials_invalid',
    hint: 'Correct the credentials of this provider in the configuration.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What a program needs to find itself, its settings, its agent and its words. No secret is among them. */
const PASSED: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'SSH_AUTH_SOCK',
  'GNUPGHOME',
  'DBUS_SESSION_BUS_ADDRESS',
  // Windows
  'SYSTEMROOT',
  'COMSPEC',
  'PATHEXT',
  'USERPROFILE',
  'APPDATA',
  'LOCALAPPDATA',
  'TEMP',
  'TMP',
];
const FAMILIES = /^(?:LC|XDG)_/;
const OURS = /^HOLDFAST_/i;

/** The environment of a program that we start: a few common variables, and those that the configuration names. */
function childEnv(
  env: Readonly<Record<string, string | undefined>>,
  more: readonly string[],
): Record<string, string> {
  const out: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    const passed = PASSED.includes(name.toUpperCase()) || FAMILIES.test(name) || more.includes(name);
    if (value !== undefined && passed && !OURS.test(name)) out[name] = value;
  }
  return out;
}
