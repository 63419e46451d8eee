import type { Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { printableLine } from '../core/remote-text.ts';

/** The log of a service. Never waits, never throws. */
export interface ServiceLog {
  /** Undefined: there is no access log. */
  access?: ((entry: AccessEntry) => void) | undefined;
  event(level: 'info' | 'warn', event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** One line of the access log. Holds no tokens and no bodies. */
export interface AccessEntry {
  readonly time: string;
  readonly corr_id: string;
  readonly client: string;
  readonly principal: string;
  readonly method: string;
  readonly target: string;
  /** Pattern of the route, or `none`. */
  readonly route: string;
  readonly status: number;
  readonly bytes_in: number;
  readonly bytes_out: number;
  readonly ms: number;
  /** The connection ended before the answer did. */
  readonly cut?: boolean;
}

export const silentLog: ServiceLog = { event() {} };

/** The most that may wait for a slow reader. Lines beyond are counted and left out. */
const MAX_PENDING_BYTES = 1024 * 1024;
const FLUSH_BYTES = 32 * 1024;
const FLUSH_MS = 100;

export interface LineLog extends ServiceLog {
  /** Writes what is still held back. */
  flush(): void;
}

/**
 * Writes one JSON object a line. Lines of the access log go out in batches: a log must cost less than what it tells of.
 * @param access undefined: no access log.
 */
export function createLineLog(events: Writable, access: Writable | undefined, clock: Clock): LineLog {
  const writeAccess = access && bounded(access);
  const accessLines = writeAccess && batched(writeAccess, clock);
  const writeEvents = bounded(events);
  return {
    access: accessLines && ((entry) => accessLines.add(printableLine(JSON.stringify(entry)))),
    event(level, event, fields) {
      const time = new Date(clock.now()).toISOString();
      writeEvents([printableLine(JSON.stringify({ time, level, event, ...fields }))]);
    },
    flush: () => accessLines?.flush(),
  };
}

type WriteLines = (lines: readonly string[]) => void;

/** Leaves lines out while too much waits, and says how many afterwards. */
function bounded(to: Writable): WriteLines {
  let dropped = 0;
  return (lines) => {
    if (to.writableLength > MAX_PENDING_BYTES) {
      dropped += lines.length;
      return;
    }
    const told = dropped > 0 ? [...lines, JSON.stringify({ dropped_lines: dropped })] : lines;
    dropped = 0;
    to.write(`${told.join('\n')}\n`);
  };
}

function batched(write: WriteLines, clock: Clock): { add(line: string): void; flush(): void } {
  let lines: string[] = [];
  let size = 0;
  let cancel: (() => void) | undefined;
  const flush = (): void => {
    cancel?.();
    cancel = undefined;
    if (lines.length > 0) write(lines);
    lines = [];
    size = 0;
  };
  return {
    flush,
    add(line) {
      lines.push(line);
      size += line.length;
      if (size >= FLUSH_BYTES) flush();
      else cancel ??= clock.timer(FLUSH_MS, flush, { idle: true });
    },
  };
}
