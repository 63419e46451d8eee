/** In CI, and where servers are required, everything that a test can use has to be there. */
export const NOTHING_MAY_BE_ABSENT: boolean =
  process.env.CI === 'true' || process.env.HOLDFAST_REQUIRE_SERVERS === '1';

/**
 * Says what is not tested for want of something, for everyone to see.
 * @throws Error in CI and with HOLDFAST_REQUIRE_SERVERS=1: there it is a failure.
 */
export function absent(what: string, untested: string): void {
  if (NOTHING_MAY_BE_ABSENT)
    throw new Error(`${what}, and here it is required: ${untested} cannot be tested`);
  console.warn(`SKIPPED: ${untested} (${what})`);
}
