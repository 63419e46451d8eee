import { systemClock } from '../../../src/core/clock.ts';
import { createS3Client, type S3Place } from '../../../src/providers/s3/client.ts';

/** Adapters never make buckets; tests must. */
export async function makeBucket(place: S3Place): Promise<void> {
  const client = createS3Client(place, systemClock);
  await (await client.call({ method: 'PUT' })).discard();
  await client.close();
}
