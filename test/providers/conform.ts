import { describe, expect, it } from 'vitest';
import { type ConformanceOptions, conformanceCases, runCase } from '../../src/providers/testing/index.ts';
import { deps } from './deps.ts';

export { blake3, deps } from './deps.ts';

/** The conformance suite as tests: one per case. */
export function describeConformance(
  name: string,
  options: Pick<ConformanceOptions, 'open' | 'largeBytes' | 'manyBlobs' | 'plant' | 'timeoutMs'>,
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
