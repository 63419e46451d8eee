import type { BatchOp, Engine, Precondition, Table } from '../../src/engine/engine.ts';

/** One call that writes to an engine. */
export interface EngineWrite {
  readonly call: 'put' | 'delete' | 'compareAndSet' | 'batch';
  readonly ops: readonly BatchOp[];
  readonly preconditions: readonly Precondition[];
  readonly sync: boolean;
}

/** The same engine, every write of which passes through `around`. */
export function aroundWrites(
  engine: Engine,
  around: <T>(write: EngineWrite, work: () => Promise<T>) => Promise<T>,
): Engine {
  const table = (name: string): Table => {
    const inner = engine.table(name);
    return {
      get: (...given) => inner.get(...given),
      entries: (...given) => inner.entries(...given),
      put: (key, value, options) => {
        const ops = [{ table: name, key, value }];
        const write: EngineWrite = { call: 'put', ops, preconditions: [], sync: options?.sync ?? false };
        return around(write, () => inner.put(key, value, options));
      },
      delete: (key, options) => {
        const ops = [{ table: name, key, value: undefined }];
        const write: EngineWrite = { call: 'delete', ops, preconditions: [], sync: options?.sync ?? false };
        return around(write, () => inner.delete(key, options));
      },
      compareAndSet: (key, expected, next, options) => {
        const ops = [{ table: name, key, value: next }];
        const preconditions = [{ table: name, key, expected }];
        const write: EngineWrite = {
          call: 'compareAndSet',
          ops,
          preconditions,
          sync: options?.sync ?? false,
        };
        return around(write, () => inner.compareAndSet(key, expected, next, options));
      },
    };
  };
  return {
    name: engine.name,
    table,
    batch: (ops, preconditions = [], options = {}) => {
      const write: EngineWrite = { call: 'batch', ops, preconditions, sync: options.sync ?? false };
      return around(write, () => engine.batch(ops, preconditions, options));
    },
    revision: () => engine.revision(),
    close: () => engine.close(),
  };
}

/** Whether it changes a table. */
export const touches = ({ ops }: EngineWrite, table: string): boolean => ops.some((op) => op.table === table);
