#!/usr/bin/env node
import { HoldfastError } from '../core/errors.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import type { CliContext } from './flags.ts';
import { type Io, OUTPUT_CLOSED, reportError } from './io.ts';
import { version } from './version.ts';

const [first, ...rest] = process.argv.slice(2);

if (first === '--version' || first === '-v' || first === 'version') {
  process.stdout.write(`${await version(rest.includes('--verbose'), process.env)}\n`);
} else {
  const { setFlagsFromString } = await import('node:v8');
  // What comes from sockets is external memory, for which V8 would start to mark the whole heap every ten megabytes: a
  // quarter of a storage node's processor time. Scavenges free it as well.
  setFlagsFromString('--no-incremental-marking');
  process.exitCode = await main();
}

async function main(): Promise<number> {
  const stop = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    // The second one means it: whatever is left behind, the next command clears up.
    if (stop.signal.aborted) process.exit(EXIT.interrupted);
    stop.abort(new Error(name));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const { stdout, stderr, env } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    stop.abort(error.code === 'EPIPE' ? OUTPUT_CLOSED : cannotPrint(error));
  });
  stderr.on('error', () => {});
  const io: Io = {
    env,
    cwd: process.cwd(),
    // Opened only by who reads it: a pipe may be read in another way.
    get stdin() {
      return process.stdin;
    },
    stdout,
    stderr,
    signal: stop.signal,
  };
  const { runApp } = await import('./app.ts');
  const context: CliContext = { process, io, exitCode: EXIT.done };
  await runApp(process.argv.slice(2), context);
  await new Promise((resolve) => stdout.write('', resolve));
  const lost = stop.signal.reason instanceof HoldfastError ? stop.signal.reason : undefined;
  if (lost !== undefined && context.exitCode === EXIT.done) {
    reportError(io, lost, false);
    return exitCodeOf(lost);
  }
  // The parser's own failures are negative: wrong flags, unknown commands.
  const parsed = Number(process.exitCode ?? 0);
  if (parsed < 0) return EXIT.usage;
  return parsed > 0 ? EXIT.unexpected : context.exitCode;
}

function cannotPrint(cause: NodeJS.ErrnoException): HoldfastError {
  const full = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
  return new HoldfastError(
    full ? 'QuotaExceeded' : 'Unexpected',
    `cannot write the output: ${full ? 'the disk is full' : (cause.code ?? cause.message)}`,
    { code: full ? 'disk_full' : 'output_failed', cause },
  );
}
