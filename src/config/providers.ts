import { isAbsolute, join } from 'node:path';
import { decimal, type Field, integer, text, tomlKey } from './fields.ts';
import type { KeyPath } from './positions.ts';
import { displayValue, type Problems } from './problems.ts';
import { isTable } from './schema.ts';
import type { ProviderConfig } from './types.ts';

const ADAPTERS = ['fs', 'memory'] as const;
/** Placements keep a provider's place in the list in one byte. */
const MAX_PROVIDERS = 255;

const LABEL = /^[^\p{Cc}]{1,128}$/u;
const ID: Field<string> = text(
  '',
  /^[a-z0-9][a-z0-9._-]{0,63}$/,
  'a-z, 0-9, ".", "_", "-", up to 64 of them',
);
const ROOT: Field<string> = text('', /^[^\0]{1,4096}$/, 'a path, absolute or from the home');
const label: Field<string> = text('', LABEL, 'a text of 1 to 128 characters');
const COMMON_KEYS = ['id', 'adapter', 'domain', 'credits', 'price', 'max_concurrency'];
const ADAPTER_KEYS = { fs: ['root'], memory: [] } as const;

/** Nine directories under the home, so that the program does its whole job unconfigured. */
export const DEFAULT_PROVIDERS: readonly Readonly<Record<string, unknown>>[] = Array.from(
  { length: 9 },
  (_, i) => ({ id: `p${i + 1}`, adapter: 'fs', root: `providers/p${i + 1}` }),
);

/** Reads `[[providers]]`; what is wrong goes to `problems` and out of the result. */
export function readProviders(value: unknown, home: string, problems: Problems): ProviderConfig[] {
  if (!Array.isArray(value) || value.length < 1 || value.length > MAX_PROVIDERS || !value.every(isTable)) {
    problems.add(
      ['providers'],
      'is not a list of provider tables',
      `1 to ${MAX_PROVIDERS} [[providers]] tables`,
    );
    return [];
  }
  const read = value.map((table, index) =>
    new ProviderReader(table, ['providers', index], problems).read(home),
  );
  refuseRepeats(read, 'id', problems);
  refuseRepeats(read, 'root', problems);
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

  read(home: string): ProviderConfig | undefined {
    const adapter = ADAPTERS.find((name) => name === this.#table.adapter);
    if (adapter === undefined) {
      const shown =
        this.#table.adapter === undefined ? 'is missing' : `is ${displayValue(this.#table.adapter)}`;
      this.#problems.add([...this.#path, 'adapter'], shown, ADAPTERS.map((name) => `"${name}"`).join(', '));
      return undefined;
    }
    this.#refuseUnknown(this.#table, this.#path, [...COMMON_KEYS, ...ADAPTER_KEYS[adapter]]);
    const id = this.#required('id', ID);
    const common = {
      id: id ?? '',
      domain: this.#domain(id ?? ''),
      credits: this.#optional('credits', integer(0, 0, 2 ** 40), undefined),
      price: this.#optional('price', decimal(1, 0, 1e9), 1),
      maxConcurrency: this.#optional('max_concurrency', integer(4, 1, 1024), 4),
    };
    if (adapter === 'memory') return id === undefined ? undefined : { ...common, adapter };
    const root = this.#required('root', ROOT);
    if (id === undefined || root === undefined) return undefined;
    return { ...common, adapter, root: isAbsolute(root) ? join(root) : join(home, root) };
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

  #required(key: string, field: Field<string>): string | undefined {
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
    const read = field.read(value);
    if (read !== undefined) return read;
    this.#problems.add(path, `is ${displayValue(value)}`, field.allowed);
    return fallback;
  }

  #refuseUnknown(table: Readonly<Record<string, unknown>>, path: KeyPath, known: readonly string[]): void {
    for (const key of Object.keys(table)) {
      if (!known.includes(key))
        this.#problems.add([...path, key], 'is not a known key here', known.join(', '));
    }
  }
}

/** Two providers of one id or one root are one provider, and would be counted as two by the certificate. */
function refuseRepeats(
  providers: readonly (ProviderConfig | undefined)[],
  key: 'id' | 'root',
  problems: Problems,
): void {
  const seen = new Map<string, number>();
  providers.forEach((provider, index) => {
    const value = provider === undefined ? undefined : key === 'id' ? provider.id : rootOf(provider);
    if (value === undefined) return;
    const first = seen.get(value);
    if (first === undefined) seen.set(value, index);
    else
      problems.add(
        ['providers', index, key],
        `is that of providers[${first}] too`,
        `a ${tomlKey(key)} of its own`,
      );
  });
}

const rootOf = (provider: ProviderConfig): string | undefined =>
  provider.adapter === 'fs' ? provider.root.replace(/\/+$/, '') : undefined;
