import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type SftpOptions, sftpDriver } from './driver.ts';

export type { SftpOptions } from './driver.ts';

/** A provider that is a folder on an SFTP server. The folder is never created here. */
export function createSftpAdapter(options: SftpOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(sftpDriver(options, options), options);
}
