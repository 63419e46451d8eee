import type { AdapterKind } from '../kind.ts';

/** It takes no keys. */
export type MemoryKeys = Readonly<Record<never, never>>;

export const memory: AdapterKind<'memory', MemoryKeys> = {
  name: 'memory',
  keys: {},
  async open({ id }, deps) {
    const { createMemoryAdapter } = await import('./driver.ts');
    return createMemoryAdapter({ id, ...deps });
  },
};
