import type { Engine, EngineName } from './engine.ts';

/**
 * One engine for most tables and others for some, as `engine.overrides` says.
 * @param opened every engine in use, by name, `main` among them; all are closed with this one.
 */
export function createRoutedEngine(
  main: Engine,
  overrides: Readonly<Record<string, EngineName>>,
  opened: ReadonlyMap<EngineName, Engine>,
): Engine {
  return {
    name: main.name,
    table(name) {
      const chosen = Object.hasOwn(overrides, name) ? overrides[name] : undefined;
      return ((chosen && opened.get(chosen)) ?? main).table(name);
    },
    async revision() {
      const engines = [...new Set([main, ...opened.values()])];
      const marks = await Promise.all(engines.map((engine) => engine.revision()));
      return marks.includes(undefined) ? undefined : marks.join();
    },
    async close() {
      await Promise.all([...new Set([main, ...opened.values()])].map((engine) => engine.close()));
    },
  };
}
