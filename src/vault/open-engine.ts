import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import { systemClock } from '../core/clock.ts';
import { errnoText } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { openRegular, readAtMost } from '../core/files.ts';
import { secureRandom } from '../core/random.ts';
import {
  createLevelEngine,
  createMemoryStore,
  createOwnerLocks,
  createRoutedEngine,
  type Engine,
  type EngineName,
  loadPostgresEngine,
  type Owners,
} from '../engine/index.ts';
import type { MovableEngine } from '../engine/movable.ts';
import { INCOMPLETE } from '../records/generation-record.ts';
import { homePaths } from './home.ts';
import type { Observers } from './settings.ts';

const LOCK_WAIT_MS = 30_000;
const IDLE_RELEASE_MS = 50;

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws HoldfastError `Unavailable`, `Corrupt`, when it is used. */
export async function openEngine(
  config: Pick<Config, 'engine' | 'home'>,
  observers: Pick<Observers, 'engines' | 'log'>,
  env: Environment,
): Promise<Engine> {
  return (await openEngineAndOwners(config, observers, env)).engine;
}

/** The same, and who works on it. */
export async function openEngineAndOwners(
  config: Pick<Config, 'engine' | 'home'>,
  observers: Pick<Observers, 'engines' | 'log'>,
  env: Environment,
): Promise<{ readonly engine: Engine; readonly owners: Owners }> {
  const { default: main, overrides, postgresLeaseMs } = config.engine;
  const opened = new Map<EngineName, Engine>();
  let owners: Owners | undefined;
  for (const name of new Set([main, ...Object.values(overrides)])) {
    if (name !== 'postgres') {
      opened.set(name, createEngine(name, config.home));
      continue;
    }
    const shared = await openShared(config, config.engine.postgresSchema, env, observers.log);
    opened.set(name, shared);
    if (name === engineOfJournals(config)) owners = shared.owners(postgresLeaseMs);
  }
  const named = {
    default: main,
    storage_pipeline: overrides.names ?? main,
    rent_escrow: overrides.ledger_entries ?? main,
  };
  for (const [what, name] of Object.entries({ ...named, ...overrides }))
    observers.engines.engineInfo(what, name);
  const folder = homePaths(config.home).owners;
  return {
    engine: createRoutedEngine(opened.get(main)!, overrides, opened),
    owners: owners ?? createOwnerLocks({ folder, clock: systemClock, random: secureRandom }),
  };
}

/** Who reaches the journals reaches the locks of those that write them. */
const engineOfJournals = ({ engine }: Pick<Config, 'engine'>): EngineName =>
  engine.overrides.journal ?? engine.default;

function createEngine(name: 'level' | 'memory', home: string, moving = false): MovableEngine {
  if (name === 'memory') return createMemoryStore();
  return createLevelEngine({
    location: homePaths(home).engine,
    clock: systemClock,
    lockWaitMs: LOCK_WAIT_MS,
    ifIncomplete: INCOMPLETE,
    idleReleaseMs: IDLE_RELEASE_MS,
    moving,
  });
}

const openShared = (
  { engine, home }: Pick<Config, 'engine' | 'home'>,
  schema: string,
  env: Environment,
  log: Observers['log'],
  moving = false,
) =>
  loadPostgresEngine({
    url: () => postgresUrl(engine, home, env),
    schema,
    connections: engine.postgresConnections,
    statementMs: engine.postgresStatementMs,
    waitMs: engine.postgresWaitMs,
    moving,
    onWaiting: (waiting) => log('warn', 'engine_waiting', { ...waiting }),
    clock: systemClock,
    random: secureRandom,
  });

/** Where records are, as whoever moves them opens it: whatever marks are there. */
export async function openStore(
  place: StorePlace,
  config: Pick<Config, 'engine' | 'home'>,
  env: Environment,
  log: Observers['log'],
): Promise<MovableEngine & { readonly anyAlive: () => Promise<boolean> }> {
  if (place.engine === 'postgres') {
    const shared = await openShared(config, place.at, env, log, true);
    const owners = shared.owners(config.engine.postgresLeaseMs);
    return Object.assign(shared, { anyAlive: () => owners.anyAlive() });
  }
  const folder = homePaths(place.at).owners;
  const owners = createOwnerLocks({ folder, clock: systemClock, random: secureRandom });
  const anyAlive = async (): Promise<boolean> => {
    if (place.engine === 'memory') return false;
    const names = await readdir(folder).catch(() => []);
    for (const name of names) if ((await owners.standing(name)) === 'alive') return true;
    return false;
  };
  return Object.assign(createEngine(place.engine, place.at, true), { anyAlive });
}

export interface StorePlace {
  readonly engine: EngineName;
  /** Home, or schema. */
  readonly at: string;
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
