import { abortError } from '../core/abort.ts';
import { type ErrorCode, HoldfastError } from '../core/errors.ts';
import type { Io } from './io.ts';

/**
 * Asks on the terminal. @param hidden without echo, for secrets.
 * @throws HoldfastError `Aborted` on Ctrl-C, and at the end of the input (Ctrl-D), with `code`.
 */
export async function ask(
  io: Io,
  question: string,
  { hidden, code }: { readonly hidden: boolean; readonly code: ErrorCode },
): Promise<string> {
  const { createInterface } = await import('node:readline');
  return new Promise((resolve, reject) => {
    io.stderr.write(question);
    const output = hidden ? (undefined as never) : io.stderr;
    const lines = createInterface({ input: io.stdin, terminal: true, output });
    const finish = (): void => {
      io.signal.removeEventListener('abort', onAbort);
      lines.off('close', onEnd);
      lines.close();
      if (hidden) io.stderr.write('\n');
    };
    const onAbort = (): void => {
      finish();
      reject(abortError(io.signal, 'asking'));
    };
    const onEnd = (): void => {
      finish();
      reject(new HoldfastError('Aborted', 'no answer was given', { code }));
    };
    io.signal.addEventListener('abort', onAbort, { once: true });
    lines.once('close', onEnd);
    lines.once('line', (line) => {
      finish();
      resolve(line);
    });
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  });
}
