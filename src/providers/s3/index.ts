import type { BlobAdapter } from '../adapter.ts';
import type { AdapterDeps } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { type S3Options, s3Driver } from './driver.ts';

export type { S3Options } from './driver.ts';

/** A provider that is a bucket, or a prefix in one, on anything that speaks S3. The bucket is never created here. */
export function createS3Adapter(options: S3Options & AdapterDeps): BlobAdapter {
  return adapterFromDriver(s3Driver(options, options), options);
}
