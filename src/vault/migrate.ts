import { resolve } from 'node:path';
import type { Config } from '../config/types.ts';
import type { AbortOptions } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { SCHEMA_NAME } from '../engine/check.ts';
import {
  type Contents,
  type CopyProgress,
  contentsOf,
  copyRecords,
  endCopy,
  requireSame,
} from '../engine/copy.ts';
import type { EngineName } from '../engine/index.ts';
import { type MovableEngine, storeMoved } from '../engine/movable.ts';
import { homePaths, requireState, takeKeyFile } from './home.ts';
import { openStore } from './open-engine.ts';
import { type Observers, silent } from './settings.ts';

export interface MigrateTask {
  /** A home, or `postgres:SCHEMA`. */
  readonly from: string;
  readonly to: string;
  readonly engine: EngineName;
}

export interface MigrateOptions extends AbortOptions {
  readonly onProgress?: ((step: 'copying' | 'checking', progress: CopyProgress) => void) | undefined;
  /** Told `engine_waiting` while a database does not answer. */
  readonly log?: Observers['log'] | undefined;
}

export interface MigrateResult {
  readonly from: string;
  readonly to: string;
  readonly engine: EngineName;
  readonly records: number;
  readonly bytes: number;
  /** Copied by an earlier run that was ended. */
  readonly resumedAt: number;
  /** SHA-256 of everything, the same of both. */
  readonly checksum: string;
}

interface Place {
  readonly engine: EngineName;
  /** Absolute home, or schema. */
  readonly at: string;
  readonly name: string;
}

/**
 * Moves all records of a vault to another engine, checks the copy against the original, and leaves a mark in the old
 * place so that nothing opens it by mistake. Ended in the middle, it goes on where it was when it is called again. To
 * memory it only rehearses: the old place stays as it is.
 * @throws HoldfastError `Conflict` (`engine_in_use`): somebody works on the old place, or another run moves it too, or (`key_file_differs`) the new place
 * has another key; `Corrupt`
 * (`engine_copy_differs`); `PermissionDenied` (`already_initialised`): there are other records in the new place; `ConfigInvalid`.
 */
export async function migrateRecords(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
  task: MigrateTask,
  options: MigrateOptions = {},
): Promise<MigrateResult> {
  const [source, target] = placesOf(task);
  const { log = silent.log } = options;
  const from = await openStore(source, config, env, log);
  const to = await openStore(target, config, env, log);
  try {
    // First: of a move that is over nothing is done again.
    if (source.engine === 'level' && target.engine === 'level')
      await takeKeyFile(homePaths(target.at), homePaths(source.at));
    const { contents, resumedAt } = await move({ source, target, from, to }, options);
    const { records, bytes, checksum } = contents;
    return { from: source.name, to: target.name, engine: target.engine, records, bytes, resumedAt, checksum };
  } finally {
    await Promise.all([from.close(), to.close()]);
  }
}

function placesOf({ from, to, engine }: MigrateTask): readonly [Place, Place] {
  const source = placeOf(from);
  const target = engine === 'memory' ? { engine, at: '', name: 'memory' } : placeOf(to);
  if (target.engine !== engine) throw wrongPlace(`${to} is no place for the engine ${engine}`);
  if (source.engine === target.engine && source.at === target.at)
    throw wrongPlace('both places are the same');
  return [source, target];
}

function placeOf(text: string): Place {
  const [, schema] = /^postgres:(.*)$/.exec(text) ?? [];
  if (schema === undefined) return { engine: 'level', at: resolve(text), name: resolve(text) };
  if (SCHEMA_NAME.test(schema)) return { engine: 'postgres', at: schema, name: text };
  throw wrongPlace(`${text.slice(0, 80)} names no schema`);
}

const wrongPlace = (message: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', message, {
    code: 'engine_location',
    hint: 'A place is the home of a vault (engine "level"), or "postgres:SCHEMA" in the database of the configuration.',
  });

type Store = Awaited<ReturnType<typeof openStore>>;

interface Stores {
  readonly source: Place;
  readonly target: Place;
  readonly from: Store;
  readonly to: Store;
}

async function move(
  stores: Stores,
  { signal, onProgress }: MigrateOptions,
): Promise<{ readonly contents: Contents; readonly resumedAt: number }> {
  const { target, from, to } = stores;
  const checking = { signal, onProgress: (at: CopyProgress) => onProgress?.('checking', at) };
  const finished = await wasCopied(stores);
  if (!finished) await takeHold(stores);
  const copying = { signal, onProgress: (at: CopyProgress) => onProgress?.('copying', at) };
  const resumedAt = finished ? 0 : await copyRecords(from, to, copying);
  const contents = await contentsOf(to, checking);
  if (!finished) requireSame(await contentsOf(from, checking), contents);
  if (target.engine === 'memory') return { contents, resumedAt };
  await endCopy(to);
  // In this order at no time both can be opened; ended in between, the next run opens the copy.
  await from.setMark({ state: 'moved', other: target.name });
  await to.setMark(undefined);
  return { contents, resumedAt: finished ? contents.records : resumedAt };
}

/** An earlier run had come to the last step. */
async function wasCopied({ source, target, from, to }: Stores): Promise<boolean> {
  const mark = await from.mark();
  if (mark?.state !== 'moved') return false;
  const its = await to.mark();
  if (mark.other === target.name && its?.state === 'filling' && its.other === source.name) return true;
  throw storeMoved(mark);
}

/** From here on nobody else opens either of them. A rehearsal leaves no mark. */
async function takeHold({ source, target, from, to }: Stores): Promise<void> {
  const mark = await from.mark();
  if (mark !== undefined && !(mark.state === 'moving' && mark.other === target.name)) throw storeMoved(mark);
  if (source.engine === 'level') await requireState(homePaths(source.at));
  if ((await from.tables()).length === 0) throw nothingThere(source);
  if (await from.anyAlive()) throw inUse(source);
  if (target.engine === 'memory') return;
  await requireRoom(source, target, to);
  await from.setMark({ state: 'moving', other: target.name });
  if (mark === undefined && (await from.anyAlive())) {
    // It began before the mark was there.
    await from.setMark(undefined);
    throw inUse(source);
  }
  await to.setMark({ state: 'filling', other: source.name });
}

async function requireRoom(source: Place, target: Place, to: MovableEngine): Promise<void> {
  const mark = await to.mark();
  if (mark?.state === 'filling' && mark.other === source.name) return;
  if (mark !== undefined) throw storeMoved(mark);
  if ((await to.tables()).length === 0) return;
  throw new HoldfastError('PermissionDenied', `there are other records in ${target.name}`, {
    code: 'already_initialised',
    hint: 'They were left alone. Name an empty place.',
  });
}

const nothingThere = ({ name }: Place): HoldfastError =>
  new HoldfastError('NotFound', `there are no records in ${name}`, {
    code: 'state_missing',
    hint: 'Name the home of the vault, or postgres:SCHEMA.',
  });

const inUse = ({ name }: Place): HoldfastError =>
  new HoldfastError('Conflict', `somebody works on ${name}`, {
    code: 'engine_in_use',
    hint: 'End the gateways, daemons and commands of this vault, then try again. One that was killed on PostgreSQL counts until its lease ends.',
  });
