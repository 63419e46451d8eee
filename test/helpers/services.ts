import { onTestFinished } from 'vitest';
import { type RunOptions, start } from './cli.ts';
import { metricIn } from './metrics.ts';

/** A `holdfast node` or `holdfast gateway` that runs. */
export interface ServiceProcess {
  readonly url: string;
  readonly pid: number;
  /** Of `/metrics`, see `metricIn`. */
  metric(series: string): Promise<number | undefined>;
  metrics(): Promise<string>;
  /** What it wrote to standard error, once it has stopped. */
  said(): string;
  /** Asks it to stop. @returns its exit code. */
  stop(): Promise<number | null>;
}

/** Starts a service on a free port of the loopback; it is gone when the test is. */
export const startService = (args: readonly string[], options?: RunOptions): Promise<ServiceProcess> =>
  startAsConfigured([...args, '--bind', '127.0.0.1:0'], options);

/** The same where it is configured to be. */
export async function startAsConfigured(
  args: readonly string[],
  options: RunOptions = {},
): Promise<ServiceProcess> {
  let said = '';
  let listening = (_: string): void => {};
  const first = new Promise<string>((resolve) => {
    listening = resolve;
  });
  const onOutput = (piece: Buffer): void => {
    said += String(piece);
    if (said.includes('\n')) listening(said);
  };
  const { child, outcome } = start([...args, '--json'], { ...options, onOutput });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await outcome;
  });
  const ended = outcome.then(({ stderr }) => {
    throw new Error(`holdfast ${args.join(' ')} ended: ${stderr}`);
  });
  ended.catch(() => {});
  const { listening: bound } = JSON.parse(await Promise.race([first, ended])) as {
    listening: { url: string }[];
  };
  const { url } = bound[0]!;
  let stderr = '';
  const metrics = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  return {
    url,
    pid: child.pid!,
    metrics,
    metric: async (series) => metricIn(await metrics(), series),
    said: () => stderr,
    async stop() {
      child.kill('SIGTERM');
      const ended = await outcome;
      stderr = ended.stderr;
      return ended.code;
    },
  };
}
