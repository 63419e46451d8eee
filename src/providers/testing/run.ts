import type { Blake3 } from '../../core/b3/blake3.ts';
import { type Clock, systemClock, withDeadline } from '../../core/clock.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { BlobAdapter } from '../adapter.ts';
import { abortCases } from './aborts.ts';
import { blobCases } from './blobs.ts';
import { type Capability, type ConformanceCase, createContext, type Plant, Skipped } from './context.ts';
import { listCases } from './listing.ts';
import { rangeCases } from './ranges.ts';
import { replaceCases } from './replacing.ts';
import { refusalCases, slotCases } from './slots.ts';
import { streamCases } from './streams.ts';

/** The contract of `BlobAdapter`, promise by promise. */
export const conformanceCases: readonly ConformanceCase[] = Object.freeze([
  ...blobCases,
  ...replaceCases,
  ...rangeCases,
  ...streamCases,
  ...abortCases,
  ...listCases,
  ...slotCases,
  ...refusalCases,
]);

export interface ConformanceOptions {
  /** A working adapter, new for each case; all of them reach the same provider. It is closed after the case. */
  open(): BlobAdapter | Promise<BlobAdapter>;
  readonly blake3: Blake3;
  readonly random: RandomBytes;
  readonly clock: Clock;
  /** Length of the blobs called large. Default 12 MiB. */
  readonly largeBytes?: number | undefined;
  /** Number of blobs a listing is tried with. Default 40; set it above the provider's page size. */
  readonly manyBlobs?: number | undefined;
  /** For a provider that checks what it takes. Without it the cases about wrong bytes are skipped there. */
  readonly plant?: Plant | undefined;
  /** Deadline of one case. Default 60 s. */
  readonly timeoutMs?: number | undefined;
}

export type CaseOutcome = 'passed' | 'failed' | 'skipped';

export interface CaseResult {
  readonly name: string;
  readonly outcome: CaseOutcome;
  readonly ms: number;
  /** Why it failed or was skipped. */
  readonly reason?: string;
  readonly error?: unknown;
}

export interface ConformanceResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly cases: readonly CaseResult[];
}

/** Runs one case on a fresh adapter and removes what it made. Never throws. */
export async function runCase(test: ConformanceCase, options: ConformanceOptions): Promise<CaseResult> {
  const started = options.clock.monotonic();
  const done = (outcome: CaseOutcome, detail: { reason?: string; error?: unknown } = {}): CaseResult => ({
    name: test.name,
    outcome,
    ms: options.clock.monotonic() - started,
    ...detail,
  });
  try {
    const adapter = await options.open();
    if (test.requires !== undefined && !has(adapter, test.requires)) {
      await adapter.close();
      return done('skipped', { reason: `the adapter states that it has no support for ${test.requires}` });
    }
    await withDeadline(systemClock, options.timeoutMs ?? 60_000, test.name, () =>
      attempt(test, adapter, options),
    );
    return done('passed');
  } catch (error) {
    if (error instanceof Skipped) return done('skipped', { reason: error.message });
    return done('failed', { reason: error instanceof Error ? error.message : String(error), error });
  }
}

/**
 * Runs the whole suite, one case after another, for instance against a live account: it touches only blobs
 * and slots that it made, under random names, and removes them.
 */
export async function runConformance(
  options: ConformanceOptions,
  cases: readonly ConformanceCase[] = conformanceCases,
  onResult: (result: CaseResult) => void = () => {},
): Promise<ConformanceResult> {
  const results: CaseResult[] = [];
  for (const test of cases) {
    const result = await runCase(test, options);
    results.push(result);
    onResult(result);
  }
  const count = (outcome: CaseOutcome): number =>
    results.filter((result) => result.outcome === outcome).length;
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped'), cases: results };
}

async function attempt(
  test: ConformanceCase,
  adapter: BlobAdapter,
  options: ConformanceOptions,
): Promise<void> {
  const sizes = { largeBytes: options.largeBytes ?? 12 * 1024 * 1024, manyBlobs: options.manyBlobs ?? 40 };
  const context = createContext(adapter, options, sizes);
  try {
    await test.run(context);
  } finally {
    await adapter.close();
    const cleaner = await options.open();
    await context.cleanUp(cleaner).finally(() => cleaner.close());
  }
}

function has({ capabilities }: BlobAdapter, capability: Capability): boolean {
  if (capability === 'replacing at once') return capabilities.replacesAtOnce ?? true;
  return capability === 'list' ? capabilities.supportsList : capabilities.supportsSlots;
}
