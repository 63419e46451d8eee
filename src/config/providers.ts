import { isAbsolute, join } from 'node:path';
import { isCleartext } from '../core/loopback.ts';
import type { CredentialSource } from '../providers/credentials.ts';
import type { AdapterEntry } from '../providers/factory.ts';
import { ADAPTER_KEYS, type AdapterKey } from './adapters.ts';
import { bytes, decimal, type Field, integer, text, tomlKey } from './fields.ts';
import type { KeyPath } from './positions.ts';
import { displayValue, type Problems } from './problems.ts';
import { isTable } from './schema.ts';
import type { ProviderConfig } from './types.ts';

const ADAPTERS = Object.keys(ADAPTER_KEYS) as AdapterEntry['adapter'][];
/** Placements keep a provider's place in the list in one byte. */
const MAX_PROVIDERS = 255;

const LABEL = /^[^\p{Cc}]{1,128}$/u;
const ID: Field<string> = text(
  '',
  /^[a-z0-9][a-z0-9._-]{0,63}$/,
  'a-z, 0-9, ".", "_", "-", up to 64 of them',
);
const label: Field<string> = text('', LABEL, 'a text of 1 to 128 characters');
const COMMON_KEYS = [
  'id',
  'adapter',
  'domain',
  'credits',
  'price',
  'max_concurrency',
  'up_bytes_per_second',
  'down_bytes_per_second',
];
const rate: Field<number> = bytes(0, 1024, 2 ** 40);

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
    const keys = ADAPTER_KEYS[adapter];
    this.#refuseUnknown(this.#table, this.#path, [...COMMON_KEYS, ...Object.keys(keys).map(tomlKey)]);
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
    const own = this.#own(keys);
    if (id === undefined || own === undefined) return undefined;
    const provider = { ...common, adapter, ...own } as ProviderConfig;
    this.#refuseCleartext(provider);
    return fromHome(provider, home);
  }

  /** S3 sends signatures, which give no secret away. */
  #refuseCleartext(entry: ProviderConfig): void {
    if (entry.adapter !== 'http' && entry.adapter !== 'webdav' && entry.adapter !== 'ipfs') return;
    if (entry.credentials === undefined || ('socketPath' in entry && entry.socketPath !== undefined)) return;
    const urls = entry.adapter === 'ipfs' ? { api: entry.api, gateway: entry.gateway } : { url: entry.url };
    for (const [key, url] of Object.entries(urls)) {
      if (url === undefined || !isCleartext(url)) continue;
      const problem = 'would send its credentials over the network unencrypted';
      this.#problems.add([...this.#path, key], problem, 'https://, or http:// to this machine');
    }
  }

  /** The keys of the adapter itself; undefined when a required one is missing or wrong. */
  #own(keys: Readonly<Record<string, AdapterKey>>): Record<string, unknown> | undefined {
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
        this.#problems.add([...path, key], 'is not a known key here', known.join(', '));
    }
  }
}

/** Keys that name a file of this machine. */
const PLACES: readonly string[] = ['caFile', 'clientCertFile', 'clientKeyFile', 'socketPath'];

/** The entry with every path absolute, so that it means the same wherever a command runs. */
function fromHome(entry: ProviderConfig, home: string): ProviderConfig {
  const place = (path: string): string => (isAbsolute(path) ? join(path) : join(home, path));
  const out: Record<string, unknown> = { ...entry };
  for (const [key, value] of Object.entries(out)) {
    if (typeof value === 'string' && (PLACES.includes(key) || (key === 'root' && entry.adapter === 'fs')))
      out[key] = place(value);
  }
  if ('credentials' in entry && entry.credentials !== undefined)
    out.credentials = secretsFromHome(entry.credentials, place);
  return out as unknown as ProviderConfig;
}

function secretsFromHome(source: CredentialSource, place: (path: string) => string): CredentialSource {
  if ('file' in source) return { file: place(source.file) };
  if (!('command' in source)) return source;
  const [program = '', ...rest] = source.command;
  // A bare name is looked for in the PATH.
  return { ...source, command: [program.includes('/') ? place(program) : program, ...rest] };
}

const given = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };

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
    else problems.add(['providers', index, key], `is that of providers[${first}] too`, `one of its own`);
  });
}

const rootOf = (provider: ProviderConfig): string | undefined =>
  provider.adapter === 'fs' ? provider.root.replace(/(?<!\/)\/+$/, '') : undefined;
