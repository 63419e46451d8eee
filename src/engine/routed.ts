import { HoldfastError } from '../core/errors.ts';
import type { Engine, EngineName } from './engine.ts';
import { WRITTEN_TOGETHER } from './tables.ts';

/**
 * One engine for most tables and others for some, as `engine.overrides` says.
 * @param opened every engine in use, by name, `main` among them; all are closed with this one.
 */
export function createRoutedEngine(
  main: Engine,
  overrides: Readonly<Record<string, EngineName>>,
  opened: ReadonlyMap<EngineName, Engine>,
): Engine {
  const engineOf = (table: string): Engine => {
    const chosen = Object.hasOwn(overrides, table) ? overrides[table] : undefined;
    return (chosen && opened.get(chosen)) ?? main;
  };
  const engines = [...new Set([main, ...opened.values()])];
  return {
    name: main.name,
    table: (name) => engineOf(name).table(name),
    async batch(ops, preconditions = [], options = {}) {
      const tables = [...ops, ...preconditions].map(({ table }) => table);
      const its = engineOf(tables[0] ?? '');
      const other = tables.find((table) => engineOf(table) !== its);
      if (other !== undefined) throw acrossEngines(tables[0]!, other);
      return its.batch(ops, preconditions, options);
    },
    async revision() {
      const marks = await Promise.all(engines.map((engine) => engine.revision()));
      return marks.includes(undefined) ? undefined : marks.join();
    },
    history: () => engines.reduce((sum, engine) => sum + (engine.history?.() ?? 0), 0),
    async close() {
      await Promise.all(engines.map((engine) => engine.close()));
    },
  };
}

function acrossEngines(one: string, other: string): HoldfastError {
  const message = `the tables ${one} and ${other} are written together, and kept in different engines`;
  return new HoldfastError('ConfigInvalid', message, {
    code: 'batch_across_engines',
    hint: `Give ${WRITTEN_TOGETHER.join(', ')} the same engine in engine.overrides, or none of them an entry.`,
  });
}
