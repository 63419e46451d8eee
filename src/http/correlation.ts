import { toHex } from '../core/bytes.ts';
import type { RandomBytes } from '../core/random.ts';

const GIVEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** Names of requests: the client's own if it is harmless in a log, else one that is unique among all nodes. */
export function createCorrelationIds(random: RandomBytes): (given: string | undefined) => string {
  const prefix = toHex(random(8));
  let count = 0;
  return (given) =>
    given !== undefined && GIVEN.test(given) ? given : `${prefix}-${(count++).toString(36)}`;
}
