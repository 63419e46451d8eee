import { HoldfastError } from '../core/errors.ts';
import type { BlobAdapter } from './adapter.ts';

/** Adapters by id, in the order they came. Two with one id would make manifests ambiguous. */
export interface Registry<A extends BlobAdapter = BlobAdapter> {
  /** @throws HoldfastError `ConfigInvalid` when the id is taken. */
  register(adapter: A): void;
  /** @throws HoldfastError `NotFound` */
  get(id: string): A;
  has(id: string): boolean;
  list(): readonly A[];
  /** Closes all; rejects with the first failure after every one was asked. */
  close(): Promise<void>;
}

export function createRegistry<A extends BlobAdapter = BlobAdapter>(adapters: Iterable<A> = []): Registry<A> {
  const byId = new Map<string, A>();
  const registry: Registry<A> = {
    register(adapter) {
      const id = adapter.adapterId;
      if (byId.has(id)) {
        throw new HoldfastError('ConfigInvalid', `there is already a provider with the id "${id}"`, {
          code: 'duplicate_provider',
          provider: id,
          hint: 'Give every provider its own id.',
        });
      }
      byId.set(id, adapter);
    },
    get(id) {
      const found = byId.get(id);
      if (found !== undefined) return found;
      throw new HoldfastError('NotFound', `no provider with the id "${id}" is configured`, {
        code: 'unknown_provider',
        provider: id,
      });
    },
    has: (id) => byId.has(id),
    list: () => [...byId.values()],
    async close() {
      const results = await Promise.allSettled([...byId.values()].map((adapter) => adapter.close()));
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    },
  };
  for (const adapter of adapters) registry.register(adapter);
  return registry;
}
