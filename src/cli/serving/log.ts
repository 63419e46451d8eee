import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import type { Writable } from 'node:stream';
import { systemClock as clock } from '../../core/clock.ts';
import { createLineLog, type LineLog } from '../../http/line-log.ts';
import type { LogSink } from '../../providers/layers/log.ts';
import type { Io } from '../io.ts';
import type { ServingSettings } from './settings.ts';

export function openLog({ accessLog }: Pick<ServingSettings, 'accessLog'>, io: Io): LineLog {
  const to = (): Writable | undefined => {
    if (accessLog === 'off') return undefined;
    return accessLog === '-' ? io.stderr : createWriteStream(resolve(io.cwd, accessLog), { flags: 'a' });
  };
  return createLineLog(io.stderr, to(), clock);
}

/** What providers say goes into the service's own log where it is a warning. */
export const warningsTo =
  (log: LineLog): LogSink =>
  (level, event, fields) => {
    if (level === 'warn') log.event('warn', event, { ...fields });
  };
