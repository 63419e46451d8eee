import { stat } from 'node:fs/promises';
import type { Clock } from '../core/clock.ts';
import { asHoldfastError, type HoldfastError } from '../core/errors.ts';

export interface FollowOptions<T> {
  readonly paths: readonly string[];
  /** Makes of the files what they stand for. */
  readonly read: () => Promise<T>;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** What could not be read leaves what is in force as it was, and is tried again; told once until it is good again. */
  readonly onReload: (outcome: { readonly value: T } | { readonly error: HoldfastError }) => void;
}

export interface Followed<T> {
  /** As of the last good reading. */
  current(): T;
  stop(): void;
}

/**
 * Keeps to files as they change. Asking the file system every so often, unlike watching, also works where a file is a
 * link that is swung over, as orchestrators do.
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
  // Before the content: what changes in between is read again.
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

/** Empty when one of them cannot be looked at. */
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
