#!/usr/bin/env node
import { manyMayListen } from '../core/abort.ts';
import { errnoText, isFull } from '../core/errno.ts';
import { HoldfastError } from '../core/errors.ts';
import { asksForJson, asParsed, helpHint } from './arguments.ts';
import { EXIT, exitCodeOf } from './exit-codes.ts';
import type { CliContext } from './flags.ts';
import { type Io, note, OUTPUT_CLOSED, reportError } from './io.ts';
import { ParserProcess } from './parser-process.ts';
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
  manyMayListen(stop.signal);
  // The second one is the system's to handle: it ends the process even where this thread is busy or another one hangs in
  // a system call, which an exit would wait for. Whatever is left behind, the next command clears up.
  const letGo = (): void => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  };
  const onSignal = (name: NodeJS.Signals): void => {
    letGo();
    stop.abort(new Error(name));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const { stdout, stderr, env } = process;
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    stop.abort(error.code === 'EPIPE' ? OUTPUT_CLOSED : cannotPrint(error));
  });
  stderr.on('error', () => {});
  const io: Io = {
    env,
    get cwd() {
      return workingFolder();
    },
    // Opened only by who reads it: a pipe may be read in another way.
    get stdin() {
      return process.stdin;
    },
    stdout,
    stderr,
    signal: stop.signal,
  };
  const { runApp, UNKNOWN_COMMAND } = await import('./app.ts');
  const typed = asParsed(process.argv.slice(2));
  const parser = new ParserProcess(process);
  const context: Omit<CliContext, 'commandTable'> = { process: parser, io, exitCode: EXIT.done };
  await runApp(typed, context);
  letGo();
  await new Promise((resolve) => stdout.write('', resolve));
  const lost = stop.signal.reason instanceof HoldfastError ? stop.signal.reason : undefined;
  if (lost !== undefined && context.exitCode === EXIT.done) {
    reportError(io, lost, asksForJson(typed));
    return exitCodeOf(lost);
  }
  // The parser's own failures are negative: wrong flags, unknown commands.
  const parsed = Number(parser.exitCode ?? 0);
  if (parsed < 0) {
    reportError(io, parser.refusal(helpHint(typed, parsed === UNKNOWN_COMMAND)), asksForJson(typed));
    return EXIT.usage;
  }
  if (parser.said !== '') note(io, parser.said);
  return parsed > 0 ? EXIT.unexpected : context.exitCode;
}

/** Asked for inside a command, so that what is wrong with it is said like anything else. */
function workingFolder(): string {
  try {
    return process.cwd();
  } catch (cause) {
    const hint = 'It may have been removed: change to another one.';
    throw new HoldfastError('NotFound', 'the current folder is not there', {
      code: 'no_folder',
      hint,
      cause,
    });
  }
}

function cannotPrint(cause: NodeJS.ErrnoException): HoldfastError {
  const [kind, code] = isFull(cause)
    ? (['QuotaExceeded', 'disk_full'] as const)
    : (['Unexpected', 'output_failed'] as const);
  return new HoldfastError(kind, `cannot write the output: ${errnoText(cause)}`, { code, cause });
}
