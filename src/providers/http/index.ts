import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type NodeOptions, nodeDriver } from './driver.ts';

export type { NodeOptions } from './driver.ts';

/** A provider that is a Holdfast storage node. */
export function createHttpAdapter(options: NodeOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(nodeDriver(options, options), options);
}
