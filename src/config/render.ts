import { stringify } from 'smol-toml';
import { type Field, tomlKey } from '../core/fields.ts';
import { type ConfigInput, inputTable } from './load.ts';
import { DEFAULT_PROVIDERS } from './providers.ts';
import { SCHEMA, SECTION_NAMES } from './schema.ts';
import type { Config } from './types.ts';

type Values = Readonly<Record<string, unknown>>;

/** The sections as they stand in a file, every key with the value in force. Providers are not among them. */
export function sectionsOf(config: Config): Record<string, Record<string, unknown>> {
  return Object.fromEntries(
    SECTION_NAMES.map((name) => [
      name,
      Object.fromEntries(Object.entries(config[name]).map(([key, value]) => [tomlKey(key), value])),
    ]),
  );
}

/** The same as TOML that can be read again; what differs from its default says so. */
export function renderConfig(config: Config): string {
  const sections = SECTION_NAMES.map((name) => {
    const values = config[name] as unknown as Values;
    const lines = Object.entries<Field<unknown>>(SCHEMA[name]).map(([key, { default: usual }]) => {
      const value = tomlValue(values[key]);
      const note = value === tomlValue(usual) ? '' : ` # default: ${tomlValue(usual)}`;
      return `${tomlKey(key)} = ${value}${note}`;
    });
    return `[${name}]\n${lines.join('\n')}\n`;
  });
  return sections.join('\n');
}

/** The first lines of a home's own configuration. */
export const STARTER_HEAD: string = [
  '# The configuration of this vault. What it leaves out has its default: `holdfast config` prints all that is in force,',
  '# and docs/providers.md says what each kind of provider takes. Relative paths start in the folder of this file.',
].join('\n');

/** What a vault made without a configuration writes down: its providers, which must not change under it. */
export function starterConfig(): string {
  return `${STARTER_HEAD}\n\n${DEFAULT_PROVIDERS.map(renderProvider).join('\n')}`;
}

/** The same for one made with a configuration that a program gave. */
export function configText(input: ConfigInput<object> | Config): string {
  return `${STARTER_HEAD}\n\n${stringify({ providers: DEFAULT_PROVIDERS, ...inputTable(input) })}`;
}

/** A `[[providers]]` table. @param entry keys as they stand in the file. */
export function renderProvider(entry: Values): string {
  const lines = Object.entries(entry).map(([key, value]) => `${key} = ${tomlValue(value)}`);
  return `[[providers]]\n${lines.join('\n')}\n`;
}

function tomlValue(value: unknown): string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return stringify({ v: value }).trim().slice('v = '.length);
  }
  const entries = Object.entries(value).map(([key, inner]) => `${key} = ${tomlValue(inner)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}
