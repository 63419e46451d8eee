import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../../config/types.ts';
import { errnoText } from '../../core/errno.ts';
import { tomlKey } from '../../core/fields.ts';
import { readSmallFile } from '../../core/files.ts';
import { needsPassphrase } from '../../keys/key-file.ts';
import { homePaths } from '../../vault/home.ts';
import { ownConfigOf } from '../../vault/load-config.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

const OTHERS = 0o077;
const MAX_KEY_FILE_BYTES = 64 * 1024;

/** The home, its key, and every file that the configuration names and that holds a secret. */
export async function permissionsOf(home: string, config: Config | undefined): Promise<readonly Finding[]> {
  const paths = homePaths(home);
  const there = await stat(home).catch((error: NodeJS.ErrnoException) => error);
  if (there instanceof Error) {
    const what = `${home}: ${errnoText(there)}`;
    if (there.code !== 'ENOENT') return [fail('permissions', what, 'Correct its owner and permissions.')];
    return [warn('permissions', what, 'Run `holdfast init`, or name the vault with --home.')];
  }
  const files = config === undefined ? [] : secretFiles(config);
  const found = [
    await homeFinding(home, there),
    await keyFinding(paths.keyFile),
    await fileFinding("the home's configuration", ownConfigOf(home), 'warn'),
    ...(await Promise.all(files.map(({ what, file }) => fileFinding(what, file, 'fail')))),
  ];
  return found.flatMap((finding) => finding ?? []);
}

async function homeFinding(home: string, { mode, uid }: OwnedBy): Promise<Finding> {
  const writable = await access(home, constants.R_OK | constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!writable)
    return fail(
      'permissions',
      `${home}: this user may not read and write there`,
      'Correct its owner and mode.',
    );
  const what = `${home}: mode ${modeText(mode)}`;
  if (!isMine(uid))
    return warn('permissions', `${what}, of another user (${uid})`, 'Run holdfast as its owner.');
  if ((mode & OTHERS) !== 0)
    return warn('permissions', `${what}: others may look into it`, `Run \`chmod 700 ${home}\`.`);
  return ok('permissions', what);
}

async function keyFinding(file: string): Promise<Finding> {
  let wrapped: boolean;
  try {
    wrapped = needsPassphrase(await readSmallFile(file, MAX_KEY_FILE_BYTES));
  } catch (error) {
    const todo = 'Run `holdfast init` for a new vault; a lost key file must come from a backup.';
    return fail('permissions', `key file ${file}: ${errnoText(error)}`, todo);
  }
  const { mode, uid } = await stat(file);
  const kind = wrapped ? 'wrapped by a passphrase' : 'not wrapped by a passphrase';
  const what = `key file ${file}: ${kind}, mode ${modeText(mode)}`;
  if ((mode & OTHERS) !== 0 || !isMine(uid)) {
    const finding = wrapped ? warn : fail;
    return finding('permissions', `${what}: others may read it`, `Run \`chmod 600 ${file}\` as its owner.`);
  }
  return ok('permissions', what);
}

/** A file that only its owner may read. Undefined: it is not there, and need not be. */
async function fileFinding(
  what: string,
  file: string,
  otherwise: 'warn' | 'fail',
): Promise<Finding | undefined> {
  const there = await stat(file).catch((error: NodeJS.ErrnoException) => error);
  if (there instanceof Error) {
    if (otherwise === 'warn') return undefined;
    return fail(
      'permissions',
      `${what} ${file}: ${errnoText(there)}`,
      'Correct its path or its permissions.',
    );
  }
  const said = `${what} ${file}: mode ${modeText(there.mode)}`;
  if ((there.mode & OTHERS) === 0) return ok('permissions', said);
  const finding = otherwise === 'warn' ? warn : fail;
  return finding('permissions', `${said}: others may read it`, `Run \`chmod 600 ${file}\`.`);
}

/** Keys of sections that name a file with a secret in it. */
const SECRET = /(?:token|key|url|secret|password)File$|^tlsKey$/i;

/** Credentials of providers, tokens and keys; found by what they are, so that new kinds need no list. */
function secretFiles(config: Config): { readonly what: string; readonly file: string }[] {
  const ofProviders = config.providers.flatMap((provider) => {
    const { id, credentials, clientKeyFile } = provider as typeof provider & Secrets;
    return [
      { what: `credentials of ${id}`, file: credentials?.file },
      { what: `TLS key of ${id}`, file: clientKeyFile },
    ];
  });
  const ofSections = Object.entries(config).flatMap(([section, values]) =>
    Object.entries(typeof values === 'object' ? (values as object) : {}).flatMap(([key, file]) =>
      SECRET.test(key) && typeof file === 'string' ? [{ what: `${section}.${tomlKey(key)}`, file }] : [],
    ),
  );
  return [...ofProviders, ...ofSections].flatMap(({ what, file }) =>
    file === undefined || file === '' ? [] : [{ what, file: resolve(config.home, file) }],
  );
}

interface Secrets {
  readonly credentials?: { readonly file?: string };
  readonly clientKeyFile?: string;
}

interface OwnedBy {
  readonly mode: number;
  readonly uid: number;
}

const isMine = (uid: number): boolean => (process.getuid?.() ?? uid) === uid;
const modeText = (mode: number): string => (mode & 0o777).toString(8).padStart(4, '0');
