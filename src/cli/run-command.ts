import { asHoldfastError } from '../core/errors.ts';
import { EXIT, type ExitCode, exitCodeOf } from './exit-codes.ts';
import type { CliContext } from './flags.ts';
import { type Io, OUTPUT_CLOSED, reportError } from './io.ts';

/** Runs a command's work, says what went wrong if something did, and keeps the exit code. */
export async function runCommand(
  context: CliContext,
  json: boolean,
  work: (io: Io) => Promise<ExitCode | undefined>,
): Promise<void> {
  try {
    context.exitCode = (await work(context.io)) ?? EXIT.done;
  } catch (thrown) {
    const error = asHoldfastError(thrown);
    if (context.io.signal.reason !== OUTPUT_CLOSED) reportError(context.io, error, json);
    context.exitCode = exitCodeOf(error);
  }
}
