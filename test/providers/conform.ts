import { describe, expect, it } from 'vitest';
import { accelerationFrom } from '../../src/core/acceleration.ts';
import type { Blake3 } from '../../src/core/b3/blake3.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { systemClock as clock } from '../../src/core/clock.ts';
import { secureRandom as random } from '../../src/core/random.ts';
import type { AdapterDeps } from '../../src/providers/driver.ts';
import { type ConformanceOptions, conformanceCases, runCase } from '../../src/providers/testing/index.ts';

export const blake3: Blake3 = await selectBlake3(accelerationFrom(process.env));
export const deps: AdapterDeps = { clock, random, blake3 };

/** The conformance suite as tests: one per case. */
export function describeConformance(
  name: string,
  options: Pick<ConformanceOptions, 'open' | 'largeBytes' | 'manyBlobs' | 'timeoutMs'>,
): void {
  describe(`${name} keeps the contract`, () => {
    for (const test of conformanceCases) {
      it(test.name, { timeout: 120_000 }, async ({ skip }) => {
        const result = await runCase(test, { ...deps, ...options });
        if (result.outcome === 'skipped') skip(result.reason);
        if (result.outcome === 'failed') throw result.error;
        expect(result.outcome).toBe('passed');
      });
    }
  });
}
