/** A token bucket: `rate` requests a second on average, `burst` at once. Time comes in as an argument. */
export interface Bucket {
  level: number;
  updatedMs: number;
}

export interface BucketRate {
  readonly perSecond: number;
  readonly burst: number;
}

export const fullBucket = ({ burst }: BucketRate, nowMs: number): Bucket => ({
  level: burst,
  updatedMs: nowMs,
});

/**
 * Takes one token if more than `reserve` are there.
 * @returns 0 when it was taken, else the milliseconds until it could be.
 */
export function takeToken(bucket: Bucket, rate: BucketRate, nowMs: number, reserve = 0): number {
  refill(bucket, rate, nowMs);
  const missing = reserve + 1 - bucket.level;
  if (missing <= 0) {
    bucket.level -= 1;
    return 0;
  }
  return (1000 * missing) / rate.perSecond;
}

/** Whether one could be taken. */
export function hasToken(bucket: Bucket, rate: BucketRate, nowMs: number, reserve = 0): boolean {
  refill(bucket, rate, nowMs);
  return bucket.level >= reserve + 1;
}

function refill(bucket: Bucket, { perSecond, burst }: BucketRate, nowMs: number): void {
  const elapsedMs = Math.max(0, nowMs - bucket.updatedMs);
  bucket.level = Math.min(burst, bucket.level + (elapsedMs * perSecond) / 1000);
  bucket.updatedMs = nowMs;
}
