import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type IpfsOptions, ipfsDriver } from './driver.ts';

export type { IpfsOptions } from './driver.ts';

/** A provider that is an IPFS node (Kubo), or, to be read only, a trustless gateway. */
export function createIpfsAdapter(options: IpfsOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(ipfsDriver(options, options), options);
}
