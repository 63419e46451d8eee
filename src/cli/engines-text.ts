import type { Config } from '../config/types.ts';
import { TABLE_NAMES } from '../engine/tables.ts';

/** They are derived: forgotten, they are observed or looked up anew. */
const MAY_BE_FORGOTTEN: ReadonlySet<string> = new Set([
  'places',
  'provider_profiles',
  'provider_last_failure',
]);

/** Which engine keeps what, in a line. */
export function enginesLine({ engine }: Pick<Config, 'engine'>): string {
  const others = Object.entries(engine.overrides).filter(([, name]) => name !== engine.default);
  return ['engine', engine.default, ...others.map(([table, name]) => `${table} in ${name}`)].join('  ');
}

/** Where another engine is recommended: what is kept in memory is gone with the process. */
export function engineWarnings({ engine }: Pick<Config, 'engine'>): string[] {
  const engineOf = (table: string) =>
    Object.hasOwn(engine.overrides, table) ? engine.overrides[table] : engine.default;
  const forgotten = TABLE_NAMES.filter(
    (table) => engineOf(table) === 'memory' && !MAY_BE_FORGOTTEN.has(table),
  );
  if (forgotten.length === 0) return [];
  const shown = forgotten.slice(0, 3).join(', ');
  const more = forgotten.length > 3 ? ` and ${forgotten.length - 3} more` : '';
  return [
    `${shown}${more} are kept in memory and forgotten when this process ends; "level" is recommended, or "postgres" for several machines (engine.default, engine.overrides)`,
  ];
}
