import { open } from 'node:fs/promises';
import { onTestFinished } from 'vitest';

/** Calls `seen` before every flush of a file (`datasync`, `sync`) or folder (`sync`) in this process. */
export async function watchFlushes(seen: (call: 'datasync' | 'sync') => void): Promise<void> {
  const handle = await open('/', 'r');
  const prototype = Object.getPrototypeOf(handle) as Record<'datasync' | 'sync', () => Promise<void>>;
  await handle.close();
  for (const call of ['datasync', 'sync'] as const) {
    const real = prototype[call];
    prototype[call] = function flush(this: unknown) {
      seen(call);
      return real.call(this);
    };
    onTestFinished(() => {
      prototype[call] = real;
    });
  }
}
