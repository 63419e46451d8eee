import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type FsOptions, fsDriver } from './driver.ts';

export type { FsOptions } from './driver.ts';
export { initFsProvider, readProviderId } from './layout.ts';
export { fsPeekStat } from './peek-stat.ts';

/**
 * A provider that is a folder. What it acknowledged survives a power cut, as far as the disk keeps its word about
 * flushing. The folder is never created here: see `initFsProvider`.
 */
export function createFsAdapter(options: FsOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(fsDriver(options, options), options);
}
