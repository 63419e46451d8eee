import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { resolve } from 'node:path';
import { systemClock as clock } from '../../core/clock.ts';
import { errnoText } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';
import { createLineLog, type LineLog } from '../../http/log.ts';
import type { LogSink } from '../../providers/layers/log.ts';
import type { Io } from '../io.ts';
import type { ServingSettings } from './settings.ts';

/**
 * Requests are told where the settings say, all else on standard error. A file that fails later, as when its disk is
 * full, ends the access log and not the service.
 * @throws HoldfastError `ConfigInvalid` (`bad_access_log`) when the file cannot be opened.
 */
export async function openLog({ accessLog }: Pick<ServingSettings, 'accessLog'>, io: Io): Promise<LineLog> {
  if (accessLog === 'off') return createLineLog(io.stderr, undefined, clock);
  if (accessLog === '-') return createLineLog(io.stderr, io.stderr, clock);
  const path = resolve(io.cwd, accessLog);
  const lines = createWriteStream(path, { flags: 'a' });
  await once(lines, 'open').catch((cause: NodeJS.ErrnoException) => {
    throw new HoldfastError('ConfigInvalid', `cannot write the access log ${path}: ${errnoText(cause)}`, {
      code: 'bad_access_log',
      hint: 'Check --access-log and the permissions of its folder; "off" keeps none.',
      cause,
    });
  });
  const log = createLineLog(io.stderr, lines, clock);
  lines.on('error', ({ message }) => log.event('warn', 'access_log_lost', { path, message }));
  return log;
}

/** What providers say goes into the service's own log where it is a warning. */
export const warningsTo =
  (log: LineLog): LogSink =>
  (level, event, fields) => {
    if (level === 'warn') log.event('warn', event, { ...fields });
  };
