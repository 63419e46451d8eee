import type { Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import type { ServiceLog } from './log.ts';

/** What may wait for a reader that is slow; lines beyond are counted and left out. */
const MAX_PENDING_BYTES = 1024 * 1024;
const FLUSH_BYTES = 32 * 1024;
const FLUSH_MS = 100;

export interface LineLog extends ServiceLog {
  /** Writes what is still held back. */
  flush(): void;
}

/**
 * One JSON object a line, written in batches: a log must cost less than what it tells of.
 * @param access undefined: no access log.
 */
export function createLineLog(events: Writable, access: Writable | undefined, clock: Clock): LineLog {
  const accessLines = access && batched(access);
  return {
    access: accessLines && ((entry) => accessLines.add(JSON.stringify(entry))),
    event(level, event, fields) {
      const time = new Date(clock.now()).toISOString();
      events.write(`${JSON.stringify({ time, level, event, ...fields })}\n`);
    },
    flush: () => accessLines?.flush(),
  };
}

function batched(to: Writable): { add(line: string): void; flush(): void } {
  let lines: string[] = [];
  let size = 0;
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  const flush = (): void => {
    clearTimeout(timer);
    timer = undefined;
    if (to.writableLength > MAX_PENDING_BYTES) dropped += lines.length;
    else if (lines.length > 0) {
      if (dropped > 0) lines.push(JSON.stringify({ dropped_lines: dropped }));
      dropped = 0;
      to.write(`${lines.join('\n')}\n`);
    }
    lines = [];
    size = 0;
  };
  return {
    flush,
    add(line) {
      lines.push(line);
      size += line.length;
      if (size >= FLUSH_BYTES) flush();
      else timer ??= setTimeout(flush, FLUSH_MS).unref();
    },
  };
}
