import { systemClock, withDeadline } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';

/** What is looked at, in the order it is told. */
export const AREAS = [
  'versions',
  'config',
  'permissions',
  'clock',
  'kernels',
  'disk',
  'engines',
  'providers',
] as const;
export type Area = (typeof AREAS)[number];

type Verdict = 'ok' | 'warn' | 'fail';

/** One line of the report. Neither text ever holds a secret. */
export interface Finding {
  readonly area: Area;
  readonly verdict: Verdict;
  /** What was found. */
  readonly what: string;
  /** What to do about it; where all is well there is nothing to do. */
  readonly todo?: string | undefined;
}

export const ok = (area: Area, what: string): Finding => ({ area, verdict: 'ok', what });
export const warn = (area: Area, what: string, todo: string): Finding => ({
  area,
  verdict: 'warn',
  what,
  todo,
});
export const fail = (area: Area, what: string, todo: string): Finding => ({
  area,
  verdict: 'fail',
  what,
  todo,
});

/** What stands for a hint where an error has none. */
const NO_HINT = 'See docs/api/errors.md for its code.';

/** Findings of `work`; a failure of it, or its silence until the deadline, is one too. */
export async function within(
  area: Area,
  subject: string,
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return await withDeadline(systemClock, ms, `looking at ${subject}`, work, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const { message, code, hint = NO_HINT } = asHoldfastError(thrown);
    return [fail(area, `${subject}: ${message} (${code})`, hint)];
  }
}
