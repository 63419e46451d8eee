import { isAbsolute, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, TomlError } from 'smol-toml';
import { HoldfastError } from '../core/errors.ts';
import { type Field, isTable, tomlKey } from '../core/fields.ts';
import { didYouMean } from '../core/options.ts';
import type { DomainLabels, ProviderTerms } from '../providers/provider.ts';
import { type AdapterEntry, type AdapterKinds, BUILT_IN } from '../providers/registry.ts';
import { checkCombinations } from './combinations.ts';
import { findPositions, type Positions } from './positions.ts';
import { configInvalid, displayValue, Problems } from './problems.ts';
import { DEFAULT_PROVIDERS, readProviders } from './providers.ts';
import {
  coderGate,
  compressorGate,
  type Environment,
  emergencyWarnings,
  storagePolicyOf,
} from './rollout.ts';
import { SCHEMA, SECTION_NAMES, type SectionName } from './schema.ts';
import type { Config, ConfigWarning, EngineConfig } from './types.ts';

export interface ConfigSource {
  /** TOML; what it leaves out takes its default, and a file without `[[providers]]` takes the nine of the home. */
  readonly text: string;
  /** For messages. */
  readonly file: string;
  /** For the emergency switch, and nothing else. */
  readonly env: Environment;
  /** Put before relative provider roots. */
  readonly home: string;
  /** False for a file that was only found lying about: it may not set guarded keys. Default true. */
  readonly trusted?: boolean | undefined;
  /** Kinds of adapters that providers may name. Default: those that come with Holdfast. */
  readonly kinds?: AdapterKinds | undefined;
}

const MAX_TEXT = 256 * 1024;
const MAX_NESTING = 8;

export type Table = Readonly<Record<string, unknown>>;

/**
 * Text in, complete and frozen configuration out. Reads nothing else.
 * @throws HoldfastError `ConfigInvalid` with every problem found, each as `file:line: key: problem; allowed: …`, in
 * the message and in `context.problems`; the first one's `file, line, key, allowed` stand in the context too.
 */
export function loadConfig(source: ConfigSource): Config {
  const { text, file, env, home, trusted = true, kinds } = source;
  const table = parseToml(text, file);
  return configOf(table, { file, env, home, kinds }, new Problems(file, findPositions(text), trusted));
}

const loaded = new WeakSet<object>();

/** Whether it is complete and checked already. */
const isLoaded = (config: object): config is Config => loaded.has(config);

/** The same of a table that was parsed before. */
function configOf(
  table: Table,
  { file, env, home, kinds = BUILT_IN }: Pick<ConfigSource, 'file' | 'env' | 'home' | 'kinds'>,
  problems: Problems,
): Config {
  refuseUnknownSections(table, problems);
  const read = Object.fromEntries(
    SECTION_NAMES.map((name) => [name, readSection(name, table[name], problems)]),
  ) as unknown as Pick<Config, SectionName>;
  const sections = { ...read, engine: engineInForce(read.engine) };
  const providers = readProviders(table.providers ?? DEFAULT_PROVIDERS, home, problems, kinds);
  // Keys that are wrong have read as their defaults, and would only cause false alarms here.
  if (problems.none) checkCombinations({ ...sections, providers }, env, problems);
  problems.throwIfAny();
  const warnings = [
    ...(sections.engine.storageLegacyMode ? [LEGACY_WARNING] : []),
    ...emergencyWarnings(
      coderGate(sections.erasure.algorithm, sections.rollout, env),
      compressorGate(sections.compression.algorithm, sections.rollout, env),
    ),
  ];
  const policy = storagePolicyOf(sections, env);
  const config = deepFreeze({ file, home, ...sections, providers, policy, warnings });
  loaded.add(config);
  return config;
}

/** Where the release before kept records; everything that comes after reads this and nothing else. */
const engineInForce = (engine: EngineConfig): EngineConfig =>
  engine.storageLegacyMode ? { ...engine, default: 'level', overrides: {} } : engine;

const LEGACY_WARNING: ConfigWarning = {
  code: 'storage_legacy_mode',
  message:
    'engine.storage_legacy_mode keeps records as the release before did; it is deprecated and ends with version 0.2.0',
};

function parseToml(text: string, file: string): Table {
  if (text.length > MAX_TEXT) {
    const problem = `is ${text.length} characters long`;
    throw configInvalid([{ file, line: 1, key: '', problem, allowed: `up to ${MAX_TEXT} characters` }]);
  }
  try {
    return parse(text, { integersAsBigInt: true, maxDepth: MAX_NESTING });
  } catch (error) {
    throw syntaxError(error, file);
  }
}

function syntaxError(error: unknown, file: string): HoldfastError {
  const first = error instanceof Error ? error.message.split('\n', 1)[0]! : String(error);
  const [line, place] = error instanceof TomlError ? [error.line, ` (column ${error.column})`] : [1, ''];
  const problem = `not valid TOML: ${first.replace(/^Invalid TOML document: /, '')}${place}`;
  return configInvalid([{ file, line, key: '', problem, allowed: 'TOML 1.0' }], error);
}

function refuseUnknownSections(table: Table, problems: Problems): void {
  const known = [...SECTION_NAMES, 'providers'];
  const allowed = known.map((name) => (name === 'providers' ? '[[providers]]' : `[${name}]`)).join(', ');
  for (const name of Object.keys(table)) {
    if (!known.includes(name))
      problems.add([name], `is not a known section${didYouMean(name, known)}`, allowed);
  }
}

function readSection(name: SectionName, given: unknown, problems: Problems): Record<string, unknown> {
  const fields = Object.entries<Field<unknown>>(SCHEMA[name]);
  if (given !== undefined && !isTable(given)) {
    problems.add([name], `is ${displayValue(given)}`, `a table [${name}]`);
    return defaultsOf(fields);
  }
  const table: Table = given ?? {};
  const keys = fields.map(([field]) => tomlKey(field));
  for (const key of Object.keys(table)) {
    if (!keys.includes(key))
      problems.add([name, key], `is not a known key${didYouMean(key, keys)}`, keys.join(', '));
  }
  const out = defaultsOf(fields);
  for (const [name_, field] of fields) {
    const key = tomlKey(name_);
    if (!Object.hasOwn(table, key)) continue;
    const value = field.read(table[key]);
    if (field.guarded && !isDeepStrictEqual(value, field.default)) problems.refuseGuarded([name, key]);
    if (value === undefined) problems.add([name, key], `is ${displayValue(table[key])}`, field.allowed);
    else out[name_] = value;
  }
  return out;
}

function defaultsOf(fields: readonly (readonly [string, Field<unknown>])[]): Record<string, unknown> {
  return Object.fromEntries(fields.map(([name, field]) => [name, structuredClone(field.default)]));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const inner of Object.values(value)) deepFreeze(inner);
    Object.freeze(value);
  }
  return value;
}

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
const ABOUT: readonly string[] = ['file', 'home', 'policy', 'warnings'];
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
