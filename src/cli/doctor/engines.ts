import { createUsageStore } from '../../catalog/quota.ts';
import type { Config } from '../../config/types.ts';
import { systemClock, withDeadline } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Engine, EngineName } from '../../engine/index.ts';
import { TABLE_NAMES } from '../../engine/tables.ts';
import { EngineGeneration } from '../../records/generation-record.ts';
import { declaredLost } from '../../records/lost-providers.ts';
import { homePaths, requireState } from '../../vault/home.ts';
import { openEngine } from '../../vault/open-engine.ts';
import { silent } from '../../vault/settings.ts';
import { counted } from '../format.ts';
import type { Io } from '../io.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

/** What the state says of providers; empty where it cannot be read. */
export interface KnownOfProviders {
  readonly usedBytes: ReadonlyMap<string, number>;
  readonly lost: ReadonlySet<string>;
}

export const NOTHING_KNOWN: KnownOfProviders = { usedBytes: new Map(), lost: new Set() };

const CLOSE_MS = 2_000;

/**
 * Opens each engine in force and reads the first record of every table. A state that another process has, or that is not
 * there yet, is no fault.
 */
export async function enginesOf(
  config: Config,
  env: Io['env'],
  lockWaitMs: number,
  signal: AbortSignal,
): Promise<{ readonly findings: readonly Finding[]; readonly known: KnownOfProviders }> {
  const { default: main } = config.engine;
  const paths = homePaths(config.home);
  try {
    if (main === 'level') await requireState(paths);
  } catch (error) {
    if (!isHoldfastError(error, 'NotFound')) throw error;
    const todo = 'Put something first; a lost state comes back with `holdfast recover`.';
    return unknown(warn('engines', `${main}: there is no state at ${paths.engine}`, todo));
  }
  const engine = await openEngine(config, silent, env);
  try {
    const read = (turn: AbortSignal) => look(engine, config, turn);
    return await withDeadline(systemClock, lockWaitMs, 'waiting for the state', read, signal);
  } catch (error) {
    const locked = main === 'level' && (isHoldfastError(error, 'Timeout') || isLocked(error));
    if (!locked || signal.aborted) throw error;
    const what = `level: another process has had the state open for ${lockWaitMs / 1000} s`;
    return unknown(
      warn('engines', what, `Try again when it is done: \`fuser ${paths.engine}/LOCK\` says who.`),
    );
  } finally {
    await withDeadline(systemClock, CLOSE_MS, 'closing the state', () => engine.close()).catch(() => {});
  }
}

const isLocked = (error: unknown): boolean => isHoldfastError(error) && error.code === 'engine_locked';

const unknown = (finding: Finding) => ({ findings: [finding], known: NOTHING_KNOWN });

async function look(engine: Engine, config: Config, signal: AbortSignal) {
  const { default: main, overrides } = config.engine;
  const damaged: string[] = [];
  const tables = new Map<EngineName, number>();
  for (const name of TABLE_NAMES) {
    const kind = overrides[name] ?? main;
    tables.set(kind, (tables.get(kind) ?? 0) + 1);
    const onDamaged = (): void => void damaged.push(name);
    for await (const _ of engine.table(name).entries({ limit: 1, signal, onDamaged })) break;
  }
  const found = [...tables].map(([kind, count]) =>
    ok('engines', `${kind}: opened, ${counted(count, 'table')} can be read`),
  );
  if (damaged.length > 0) {
    const what = `damaged records in ${[...new Set(damaged)].join(', ')}`;
    found.push(fail('engines', what, 'See `holdfast status`; `holdfast recover` makes the state anew.'));
  }
  if (await new EngineGeneration(engine).isIncomplete({ signal })) {
    const todo = 'Run `holdfast recover`; until then nothing is deleted.';
    found.push(fail('engines', 'writes are missing that others follow', todo));
  }
  return { findings: found, known: await knownOf(engine, config, signal) };
}

async function knownOf(engine: Engine, config: Config, signal: AbortSignal): Promise<KnownOfProviders> {
  const store = createUsageStore(engine);
  const usedBytes = new Map<string, number>();
  for (const { id } of config.providers) {
    const bytes = await store.load(id, { signal }).catch((error: unknown) => {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      return undefined;
    });
    if (bytes !== undefined) usedBytes.set(id, bytes);
  }
  return { usedBytes, lost: new Set((await declaredLost({ engine }, { signal })).keys()) };
}
