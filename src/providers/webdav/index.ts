import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type WebDavOptions, webDavDriver } from './driver.ts';

export type { WebDavOptions } from './driver.ts';

/** A provider that is a collection on a WebDAV server. The collection is never created here. */
export function createWebDavAdapter(options: WebDavOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(webDavDriver(options, options), options);
}
