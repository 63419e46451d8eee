import type { Observers } from '../vault/settings.ts';
import { type Io, note } from './io.ts';

/** Says on standard error, in a line each time, that the database does not answer; of what else is logged, nothing. */
export const logOfWaiting =
  (io: Io, json: boolean): Observers['log'] =>
  (_, event, fields) => {
    if (event !== 'engine_waiting') return;
    const { host, waitedMs, limitMs } = fields as Readonly<{
      host: string;
      waitedMs: number;
      limitMs: number;
    }>;
    const [waited, limit] = [waitedMs, limitMs].map((ms) => Math.round(ms / 1000));
    const where = host === '' ? '' : ` at ${host}`;
    const whole = { event, host, waitedMs: Math.round(waitedMs), limitMs: Math.round(limitMs) };
    note(io, json ? JSON.stringify(whole) : `waiting for the database${where} (${waited} s of ${limit})`);
  };
