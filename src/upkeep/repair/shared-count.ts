import type { AbortOptions } from '../../core/abort.ts';
import { utf8Decode, utf8Encode } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { isCount } from '../../core/counts.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { Engine } from '../../engine/engine.ts';

export interface CountContext {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** Others may change a count between reading and writing so often. */
const MAX_TRIES = 16;
const LONGEST_WAIT_MS = 250;

/**
 * Changes a count that all workers of an engine share. Not flushed: a power cut may take back what was counted last.
 * @param change of what stands there; a record that is damaged counts as `damaged`, default 0, and is written over.
 * @returns what stood there.
 * @throws HoldfastError `Conflict` (`pace_contended`) when others change it without end; what `change` and the engine throw.
 */
export async function changeCount(
  { engine, clock, random }: CountContext,
  { table: name, key }: { readonly table: string; readonly key: string },
  change: (count: number) => number,
  { damaged = 0, ...options }: AbortOptions & { readonly damaged?: number } = {},
): Promise<number> {
  const table = engine.table(name);
  for (let tries = 1; tries <= MAX_TRIES; tries++) {
    const stored = await table.get(key, options).catch((error: unknown) => {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      return 'damaged' as const;
    });
    const count = stored === undefined ? 0 : stored === 'damaged' ? damaged : (countIn(stored) ?? damaged);
    const next = utf8Encode(JSON.stringify({ v: 1, bytes: change(count) }));
    if (stored === 'damaged') await table.put(key, next, options);
    else if (!(await table.compareAndSet(key, stored, next, options))) {
      const most = Math.min(LONGEST_WAIT_MS, 2 ** tries);
      await clock.sleep(1 + (most * random(1)[0]!) / 256, options.signal);
      continue;
    }
    return count;
  }
  throw new HoldfastError('Conflict', 'others keep changing how much repair has moved', {
    code: 'pace_contended',
    status: 'temporary',
    hint: 'Try again; run fewer repair workers if it stays so.',
  });
}

/** Undefined for a record that cannot be read. */
export function countIn(stored: Uint8Array): number | undefined {
  try {
    const { v, bytes } = JSON.parse(utf8Decode(stored)) as Record<string, unknown>;
    return v === 1 && isCount(bytes) ? bytes : undefined;
  } catch {
    return undefined;
  }
}
