import { isAbsolute, resolve } from 'node:path';
import { HoldfastError } from '../core/errors.ts';
import { isTable, tomlKey } from '../core/fields.ts';
import type { DomainLabels, ProviderTerms } from '../providers/provider.ts';
import type { AdapterEntry, AdapterKinds } from '../providers/registry.ts';
import { configOf, isLoaded, type Table } from './load.ts';
import type { Positions } from './positions.ts';
import { Problems } from './problems.ts';
import type { Environment } from './rollout.ts';
import type { SectionName } from './schema.ts';
import type { Config } from './types.ts';

/** A provider as a program names it: only its id and what its adapter needs. @param Entry of the kinds it may be of. */
export type ProviderInput<Entry = AdapterEntry> = Entry &
  Pick<ProviderTerms, 'id'> &
  Partial<Omit<ProviderTerms, 'id' | 'domain'>> & { readonly domain?: Partial<DomainLabels> | undefined };

/** A configuration as a program gives it; what it leaves out has its default. Relative paths start at the home. */
export type ConfigInput<Entry = AdapterEntry> = {
  readonly [S in SectionName]?: Partial<Config[S]> | undefined;
} & {
  readonly home?: string | undefined;
  readonly providers?: readonly ProviderInput<Entry>[] | undefined;
};

/** For messages. */
const NAME = 'config';
/** What a complete configuration says of itself, so that one can be spread into another. */
const ABOUT: readonly string[] = ['file', 'home', 'warnings'];
/** Below these stand names that are no keys of ours. */
const OWN_NAMES: readonly string[] = ['overrides', 'env'];
const MAX_DEPTH = 8;

/**
 * A complete and frozen configuration from parts of one. What was loaded before is taken as it is.
 * @param home for who names none. @param kinds default: those that come with Holdfast.
 * @throws HoldfastError `ConfigInvalid`, as `loadConfig` does, without lines.
 */
export function configFrom(
  input: ConfigInput<object> | Config,
  env: Environment,
  home: string,
  kinds?: AdapterKinds,
): Config {
  if (isLoaded(input)) return input;
  const table = inputTable(input);
  const named: unknown = input.home;
  const at = typeof named === 'string' && named !== '' ? (isAbsolute(named) ? named : resolve(named)) : home;
  return configOf(table, { file: NAME, env, home: at, kinds }, new Problems(NAME, positionsIn(table), true));
}

/** What it says as a file would say it. @throws HoldfastError `ConfigInvalid` (`bad_option`). */
export function inputTable(input: ConfigInput<object> | Config): Table {
  if (!isTable(input)) throw notAnObject();
  const entries = Object.entries(input).filter(([key]) => !ABOUT.includes(key));
  return tableOf(Object.fromEntries(entries), 0) as Table;
}

/** As the TOML parser would give it: keys as in a file, integers as such, nothing where there is nothing. */
function tableOf(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw notAnObject();
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt(value);
  if (Array.isArray(value)) return value.map((item) => tableOf(item, depth + 1));
  if (!isTable(value)) return value;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.map(([key, inner]) => [
      tomlKey(key),
      OWN_NAMES.includes(key) ? inner : tableOf(inner, depth + 1),
    ]),
  );
}

function positionsIn(table: Table): Positions {
  const has = (path: readonly (string | number)[]): boolean => {
    let at: unknown = table;
    for (const key of path) {
      if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return false;
      at = (at as Record<string | number, unknown>)[key];
    }
    return true;
  };
  return { has, lineOf: () => 0 };
}

function notAnObject(): HoldfastError {
  return new HoldfastError('ConfigInvalid', 'config is no configuration', {
    code: 'bad_option',
    hint: 'Give the path of a file, or an object of sections such as { placement: { minTolerates: 2 }, providers: [ … ] }.',
  });
}
