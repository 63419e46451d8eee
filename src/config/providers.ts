import { isAbsolute, join } from 'node:path';
import { bytes, decimal, type Field, integer, isTable, text, tomlKey } from '../core/fields.ts';
import { didYouMean } from '../core/options.ts';
import type { AdapterKey, AdapterKind } from '../providers/kind.ts';
import { type AdapterKinds, COMMON_KEYS } from '../providers/registry.ts';
import type { KeyPath } from './positions.ts';
import { displayValue, type Problems } from './problems.ts';
import type { ProviderConfig } from './types.ts';

/** Placements keep a provider's place in the list in one byte. */
const MAX_PROVIDERS = 255;

type Values = Readonly<Record<string, unknown>>;

const LABEL = /^[^\p{Cc}]{1,128}$/u;
const ID: Field<string> = text(
  '',
  /^[a-z0-9][a-z0-9._-]{0,63}$/,
  'a-z, 0-9, ".", "_", "-", up to 64 of them',
);
const label: Field<string> = text('', LABEL, 'a text of 1 to 128 characters');
const rate: Field<number> = bytes(0, 1024, 2 ** 40);

/** Nine directories under the home, so that the program does its whole job unconfigured. */
export const DEFAULT_PROVIDERS: readonly Readonly<Record<string, unknown>>[] = Array.from(
  { length: 9 },
  (_, i) => ({ id: `p${i + 1}`, adapter: 'fs', root: `providers/p${i + 1}` }),
);

/** Reads `[[providers]]`; what is wrong goes to `problems` and out of the result. */
export function readProviders(
  value: unknown,
  home: string,
  problems: Problems,
  kinds: AdapterKinds,
): ProviderConfig[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > MAX_PROVIDERS || !value.every(isTable)) {
    problems.add(
      ['providers'],
      'is not a list of provider tables',
      `1 to ${MAX_PROVIDERS} [[providers]] tables`,
    );
    return [];
  }
  const read = value.map((table, index) =>
    new ProviderReader(table, ['providers', index], problems).read(home, kinds),
  );
  refuseRepeats(read, 'id', ({ id }) => id, problems);
  for (const kind of kinds.all) refuseShared(read, kind, problems);
  return read.filter((provider) => provider !== undefined);
}

class ProviderReader {
  readonly #table: Readonly<Record<string, unknown>>;
  readonly #path: KeyPath;
  readonly #problems: Problems;

  constructor(table: Readonly<Record<string, unknown>>, path: KeyPath, problems: Problems) {
    this.#table = table;
    this.#path = path;
    this.#problems = problems;
  }

  read(home: string, kinds: AdapterKinds): ProviderConfig | undefined {
    const kind = kinds.get(typeof this.#table.adapter === 'string' ? this.#table.adapter : '');
    if (kind === undefined) {
      const shown =
        this.#table.adapter === undefined ? 'is missing' : `is ${displayValue(this.#table.adapter)}`;
      const allowed = kinds.names.map((name) => `"${name}"`).join(', ');
      this.#problems.add([...this.#path, 'adapter'], shown, allowed);
      return undefined;
    }
    this.#refuseUnknown(this.#table, this.#path, [...COMMON_KEYS, ...Object.keys(kind.keys)].map(tomlKey));
    const id = this.#required('id', ID);
    const common = {
      id: id ?? '',
      domain: this.#domain(id ?? ''),
      credits: this.#optional('credits', integer(0, 0, 2 ** 40), undefined),
      price: this.#optional('price', decimal(1, 0, 1e9), 1),
      maxConcurrency: this.#optional('max_concurrency', integer(4, 1, 1024), 4),
      ...given('upBytesPerSecond', this.#optional('up_bytes_per_second', rate, undefined)),
      ...given('downBytesPerSecond', this.#optional('down_bytes_per_second', rate, undefined)),
    };
    const own = this.#own(kind.keys);
    if (id === undefined || own === undefined) return undefined;
    kind.check?.({ ...own, id }, (key, problem, allowed) =>
      this.#problems.add([...this.#path, tomlKey(key)], problem, allowed),
    );
    return { ...common, adapter: kind.name, ...fromHome(own, kind.keys, home) } as unknown as ProviderConfig;
  }

  /** The keys of the adapter itself; undefined when a required one is missing or wrong. */
  #own(keys: Readonly<Record<string, AdapterKey>>): Values | undefined {
    const own: Record<string, unknown> = {};
    let whole = true;
    for (const [name, { field, required }] of Object.entries(keys)) {
      const key = tomlKey(name);
      const value = required ? this.#required(key, field) : this.#optional(key, field, undefined);
      if (value !== undefined) own[name] = value;
      else if (required) whole = false;
    }
    return whole ? own : undefined;
  }

  #domain(id: string): ProviderConfig['domain'] {
    const given = this.#table.domain ?? {};
    const path = [...this.#path, 'domain'];
    if (!isTable(given)) {
      this.#problems.add(path, `is ${displayValue(given)}`, 'a table { provider, account, region }');
      return { provider: id, account: 'default', region: 'unknown' };
    }
    this.#refuseUnknown(given, path, ['provider', 'account', 'region']);
    const read = (key: string, fallback: string): string =>
      this.#value(given[key], [...path, key], label, fallback);
    return {
      provider: read('provider', id),
      account: read('account', 'default'),
      region: read('region', 'unknown'),
    };
  }

  #required<T>(key: string, field: Field<T>): T | undefined {
    if (this.#table[key] !== undefined)
      return this.#value(this.#table[key], [...this.#path, key], field, undefined);
    this.#problems.add([...this.#path, key], 'is missing', field.allowed);
    return undefined;
  }

  #optional<T, D>(key: string, field: Field<T>, fallback: D): T | D {
    return this.#value(this.#table[key], [...this.#path, key], field, fallback);
  }

  #value<T, D>(value: unknown, path: KeyPath, field: Field<T>, fallback: D): T | D {
    if (value === undefined) return fallback;
    if (field.guarded) this.#problems.refuseGuarded(path);
    const read = field.read(value);
    if (read !== undefined) return read;
    const shown = field.secret ? 'is not of that form' : `is ${displayValue(value)}`;
    this.#problems.add(path, shown, field.allowed);
    return fallback;
  }

  #refuseUnknown(table: Readonly<Record<string, unknown>>, path: KeyPath, known: readonly string[]): void {
    for (const key of Object.keys(table)) {
      if (!known.includes(key))
        this.#problems.add(
          [...path, key],
          `is not a known key here${didYouMean(key, known)}`,
          known.join(', '),
        );
    }
  }
}

/** The same with every path absolute, so that it means the same wherever a command runs. */
function fromHome(own: Values, keys: AdapterKind['keys'], home: string): Values {
  const place = (path: string): string => (isAbsolute(path) ? join(path) : join(home, path));
  const entries = Object.entries(own).map(([key, value]) => [
    key,
    keys[key]?.fromHome === undefined ? value : keys[key].fromHome(value, place),
  ]);
  return Object.fromEntries(entries) as Values;
}

const given = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };

/** What is to be distinct among providers of a kind, such as their folders. */
function refuseShared(
  providers: readonly (ProviderConfig | undefined)[],
  kind: AdapterKind,
  problems: Problems,
): void {
  for (const [name, { distinct }] of Object.entries(kind.keys)) {
    if (!distinct) continue;
    const sameOf = (provider: ProviderConfig): string | undefined => {
      const value = (provider as unknown as Values)[name];
      if (provider.adapter !== kind.name || value === undefined) return undefined;
      return String(value).replace(/(?<!\/)\/+$/, '');
    };
    refuseRepeats(providers, tomlKey(name), sameOf, problems);
  }
}

/** Two providers of one id or one folder are one provider, and would be counted as two by the certificate. */
function refuseRepeats(
  providers: readonly (ProviderConfig | undefined)[],
  key: string,
  sameOf: (provider: ProviderConfig) => string | undefined,
  problems: Problems,
): void {
  const seen = new Map<string, number>();
  providers.forEach((provider, index) => {
    const value = provider === undefined ? undefined : sameOf(provider);
    if (value === undefined) return;
    const first = seen.get(value);
    if (first === undefined) seen.set(value, index);
    else problems.add(['providers', index, key], `is that of providers[${first}] too`, `one of its own`);
  });
}
