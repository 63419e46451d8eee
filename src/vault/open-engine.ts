import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import { systemClock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { openRegular, readAtMost } from '../core/files.ts';
import { secureRandom } from '../core/random.ts';
import {
  createLevelEngine,
  createMemoryEngine,
  createRoutedEngine,
  type Engine,
  type EngineName,
  loadPostgresEngine,
} from '../engine/index.ts';
import { INCOMPLETE } from '../records/generation-record.ts';
import { homePaths } from './home.ts';
import type { Observers } from './settings.ts';

const LOCK_WAIT_MS = 30_000;
const IDLE_RELEASE_MS = 50;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws HoldfastError `Unavailable`, `Corrupt`, when it is used. */
export async function openEngine(
  config: Pick<Config, 'engine' | 'home'>,
  observers: Pick<Observers, 'engines'>,
  env: Environment,
): Promise<Engine> {
  const { default: main, overrides } = config.engine;
  const opened = new Map<EngineName, Engine>();
  for (const name of new Set([main, ...Object.values(overrides)]))
    opened.set(name, await createEngine(name, config, env));
  observers.engines.engineInfo('default', main);
  for (const [table, name] of Object.entries(overrides)) observers.engines.engineInfo(table, name);
  return createRoutedEngine(opened.get(main)!, overrides, opened);
}

async function createEngine(
  name: EngineName,
  { engine, home }: Pick<Config, 'engine' | 'home'>,
  env: Environment,
): Promise<Engine> {
  if (name === 'memory') return createMemoryEngine();
  if (name === 'postgres') {
    return loadPostgresEngine({
      url: () => postgresUrl(engine, home, env),
      schema: engine.postgresSchema,
      connections: engine.postgresConnections,
      statementMs: engine.postgresStatementMs,
      waitMs: engine.postgresWaitMs,
      clock: systemClock,
      random: secureRandom,
    });
  }
  return createLevelEngine({
    location: homePaths(home).engine,
    clock: systemClock,
    lockWaitMs: LOCK_WAIT_MS,
    ifIncomplete: INCOMPLETE,
    idleReleaseMs: IDLE_RELEASE_MS,
  });
}

/** Asked for each connection, so that a password can be changed. */
async function postgresUrl(
  { postgresUrlEnv, postgresUrlFile }: Config['engine'],
  home: string,
  env: Environment,
): Promise<string> {
  const given = env[postgresUrlEnv];
  if (given !== undefined && given !== '') return given;
  if (postgresUrlFile !== '') return (await readUrl(resolve(home, postgresUrlFile))).trim();
  throw new HoldfastError('ConfigInvalid', 'nothing says which PostgreSQL database the vault is kept in', {
    code: 'engine_location',
    hint: `Set ${postgresUrlEnv} to postgres://USER:PASSWORD@HOST:5432/DATABASE, or engine.postgres_url_file.`,
  });
}

const MAX_URL_BYTES = 16 * 1024;

async function readUrl(path: string): Promise<string> {
  const refused = (why: string): HoldfastError =>
    new HoldfastError('ConfigInvalid', `the file ${path} with the URL of the database ${why}`, {
      code: 'engine_location',
      hint: 'Make it a file that only this user can read (chmod 600).',
    });
  const file = await openRegular(path, 'followed').catch((error: unknown) => {
    throw refused(`cannot be read: ${errnoText(error)}`);
  });
  try {
    const { mode } = await file.stat();
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) throw refused('can be read by others');
    return (await readAtMost(file, MAX_URL_BYTES)).toString('utf8');
  } finally {
    await file.close();
  }
}
