import { HoldfastError } from '../../src/core/errors.ts';
import type { Engine, Table } from '../../src/engine/engine.ts';
import { createMemoryEngine } from '../../src/engine/index.ts';

/** An engine of which single records can be damaged, until something is written in their place. */
export interface RottenEngine extends Engine {
  rot(table: string, key: string): void;
}

export function rottenEngine(engine: Engine = createMemoryEngine()): RottenEngine {
  const damaged = new Set<string>();
  const place = (table: string, key: string): string => `${table} ${key}`;
  const check = (table: string, key: string): void => {
    if (!damaged.has(place(table, key))) return;
    throw new HoldfastError('Corrupt', 'a record does not match its checksum', { code: 'engine_corrupt' });
  };
  const table = (name: string): Table => {
    const inner = engine.table(name);
    return {
      async get(key, options) {
        check(name, key);
        return inner.get(key, options);
      },
      async put(key, value, options) {
        damaged.delete(place(name, key));
        return inner.put(key, value, options);
      },
      async delete(key, options) {
        damaged.delete(place(name, key));
        return inner.delete(key, options);
      },
      async compareAndSet(key, expected, next, options) {
        check(name, key);
        return inner.compareAndSet(key, expected, next, options);
      },
      async *entries(options = {}) {
        for await (const entry of inner.entries(options)) {
          if (!damaged.has(place(name, entry[0]))) yield entry;
          else if (options.onDamaged === undefined) check(name, entry[0]);
          else options.onDamaged(entry[0]);
        }
      },
    };
  };
  return {
    name: engine.name,
    table,
    async batch(ops, preconditions = [], options = {}) {
      for (const asked of preconditions) check(asked.table, asked.key);
      const done = await engine.batch(ops, preconditions, options);
      if (done) for (const op of ops) damaged.delete(place(op.table, op.key));
      return done;
    },
    revision: () => engine.revision(),
    close: () => engine.close(),
    rot: (name, key) => void damaged.add(place(name, key)),
  };
}
