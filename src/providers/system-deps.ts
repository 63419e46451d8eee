import { accelerationFrom } from '../core/acceleration.ts';
import { selectBlake3 } from '../core/b3/select.ts';
import { systemClock } from '../core/clock.ts';
import { secureRandom } from '../core/random.ts';
import type { OpenDeps } from './kind.ts';

/**
 * What adapters need, as this machine has it: its clock, its randomness, and the fastest BLAKE3 that loads here.
 * @param env for credentials that stand in variables, and for `HOLDFAST_NATIVE`. Default: the process's environment.
 */
export async function systemDeps(
  env: Readonly<Record<string, string | undefined>> = process.env,
): Promise<OpenDeps> {
  const blake3 = await selectBlake3(accelerationFrom(env));
  return { clock: systemClock, random: secureRandom, blake3, env };
}
