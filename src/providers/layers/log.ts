import type { Clock } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import type { BlobAdapter } from '../adapter.ts';
import { redact } from './redact.ts';
import { type CallInfo, wrapAdapter } from './wrap.ts';

/** Where log lines go. `fields` are plain data without secrets. */
export type LogSink = (
  level: 'debug' | 'warn',
  event: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface LogOptions {
  readonly clock: Clock;
  readonly log: LogSink;
}

/** An answer, or the caller's own doing: worth a line only when someone looks closely. */
const QUIET: ReadonlySet<string> = new Set(['NotFound', 'Aborted', 'Conflict', 'RangeNotSatisfiable']);

/** One line for every call that failed for good, with everything secret taken out. */
export function withLog(inner: BlobAdapter, { clock, log }: LogOptions): BlobAdapter {
  const report = (info: CallInfo, start: number, thrown: unknown): void => {
    const error = asHoldfastError(thrown);
    const fields = { ...error.toJSON(), provider: info.provider, operation: info.operation };
    const ms = Math.round(clock.monotonic() - start);
    log(
      QUIET.has(error.kind) ? 'debug' : 'warn',
      'provider_call_failed',
      redact({ ...fields, ms }) as typeof fields,
    );
  };
  return wrapAdapter(inner, {
    async call(info, signal, run) {
      const start = clock.monotonic();
      try {
        return await run(signal);
      } catch (error) {
        report(info, start, error);
        throw error;
      }
    },
    async *stream(info, signal, open) {
      const start = clock.monotonic();
      try {
        yield* open(signal);
      } catch (error) {
        report(info, start, error);
        throw error;
      }
    },
  });
}
