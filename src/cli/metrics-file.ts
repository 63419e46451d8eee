import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { errnoText } from '../core/errno.ts';
import { type Observers, silent } from '../vault/settings.ts';
import { type Io, note } from './io.ts';
import type { Profile } from './profile.ts';
import { logOfWaiting } from './waiting.ts';

export interface CommandMetrics {
  readonly observers: Observers;
  /** Writes the file, if one was asked for. */
  finish(): Promise<void>;
}

const unfitText = ({ kernel, implementation, why }: Readonly<Record<string, unknown>>): string =>
  `warning: ${implementation} ${why} for ${kernel} and is not used: test this machine's memory, or install it again`;

/** Observers of one command. The metrics library is loaded only for `--metrics-file`. */
export async function openObservers(
  file: string | undefined,
  io: Io,
  json: boolean,
  profile?: Profile,
): Promise<CommandMetrics> {
  const waiting = logOfWaiting(io, json);
  const log: Observers['log'] = (level, event, fields) => {
    waiting(level, event, fields);
    if (event === 'kernel_not_used') note(io, unfitText(fields));
    else if (io.env.HOLDFAST_LOG === 'debug' || (io.env.HOLDFAST_LOG === 'warn' && level === 'warn')) {
      note(io, JSON.stringify({ level, event, ...fields }));
    }
  };
  if (file === undefined) {
    return { observers: profiled({ ...silent, log }, profile), finish: async () => {} };
  }
  const { createTelemetry } = await import('../telemetry/index.ts');
  const telemetry = await createTelemetry();
  return {
    observers: profiled({ ...telemetry, onAttempt() {}, log }, profile),
    finish: async () => {
      const text = await telemetry.renderMetrics();
      await writeWhole(file, text).catch((cause: unknown) => {
        note(io, `warning: cannot write the metrics file ${file}: ${errnoText(cause)}`);
      });
    },
  };
}

/** A collector that looks at any time finds the old text or the new one. What is no file, a pipe say, is written to. */
async function writeWhole(file: string, text: string): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  if (there !== undefined && !there.isFile()) return writeFile(file, text);
  const part = `${file}.${process.pid}.part`;
  try {
    await rm(part, { force: true });
    await writeFile(part, text, { flag: 'wx', ...(there && { mode: there.mode & 0o777 }) });
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

function profiled(observers: Observers, profile: Profile | undefined): Observers {
  if (profile === undefined) return observers;
  const { pipeline } = observers;
  const stage: typeof pipeline.stage = (name, seconds) => {
    profile.add(name, seconds);
    pipeline.stage(name, seconds);
  };
  return { ...observers, pipeline: { ...pipeline, stage } };
}
