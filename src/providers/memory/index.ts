import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type MemoryOptions, memoryDriver } from './driver.ts';

export type { MemoryOptions } from './driver.ts';

/** A provider in this process's memory. `durable` is false: a placement must not count on it. */
export function createMemoryAdapter(options: MemoryOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(memoryDriver(options, options), options);
}
