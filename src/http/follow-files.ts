import { stat } from 'node:fs/promises';
import type { Clock } from '../core/clock.ts';
import { asHoldfastError, type HoldfastError } from '../core/errors.ts';

export interface FollowOptions<T> {
  readonly paths: readonly string[];
  /** Reads the files. */
  readonly read: () => Promise<T>;
  readonly clock: Clock;
  readonly intervalMs: number;
  /**
   * A reading that failed leaves the last one in force and is tried again. It is told once, until a reading is good
   * again.
   */
  readonly onReload: (outcome: { readonly value: T } | { readonly error: HoldfastError }) => void;
}

export interface Followed<T> {
  /** The value of the last good reading. */
  current(): T;
  stop(): void;
}

/**
 * Follows files as they change. It asks the file system every so often: unlike watching, that also works where a file is
 * a link that an orchestrator swings over.
 * @throws as `read` does when the first reading fails.
 */
export async function followFiles<T>({
  paths,
  read,
  clock,
  intervalMs,
  onReload,
}: FollowOptions<T>): Promise<Followed<T>> {
  const stopped = new AbortController();
  // Taken before the content, so that a change in between is read again.
  let revision = await revisionOf(paths);
  let current = await read();
  const look = async (): Promise<void> => {
    const now = await revisionOf(paths);
    if (now === revision && now !== '') return;
    current = await read();
    revision = now;
    onReload({ value: current });
  };
  const follow = async (): Promise<void> => {
    for (let failing = false; ; ) {
      await clock.sleep(intervalMs, stopped.signal);
      try {
        await look();
        failing = false;
      } catch (error) {
        if (!failing) onReload({ error: asHoldfastError(error) });
        failing = true;
      }
    }
  };
  follow().catch(() => {}); // only `stop` ends it
  return { current: () => current, stop: () => stopped.abort() };
}

/** Empty when the file system does not tell of one of them. */
async function revisionOf(paths: readonly string[]): Promise<string> {
  try {
    const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })));
    return stats
      .map(({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join('.'))
      .join(' ');
  } catch {
    return '';
  }
}
