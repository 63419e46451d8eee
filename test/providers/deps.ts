import { accelerationFrom } from '../../src/core/acceleration.ts';
import type { Blake3 } from '../../src/core/b3/blake3.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { systemClock as clock } from '../../src/core/clock.ts';
import { secureRandom as random } from '../../src/core/random.ts';
import type { AdapterDeps } from '../../src/providers/driver.ts';

export const blake3: Blake3 = await selectBlake3(accelerationFrom(process.env));
/** What adapters under test are given: the real things. */
export const deps: AdapterDeps = { clock, random, blake3 };
