import type { AbortOptions } from '../core/abort.ts';
import { type BatchOp, type Engine, MAX_BATCH_ENTRIES, type Table, type WriteOptions } from './engine.ts';

/** Writes any number of entries in their order: in one step if they fit into one batch, else a batch at a time. */
export async function writeInBatches(
  engine: Engine,
  ops: readonly BatchOp[],
  options: WriteOptions = {},
): Promise<void> {
  for (let at = 0; at < ops.length; at += MAX_BATCH_ENTRIES) {
    await engine.batch(ops.slice(at, at + MAX_BATCH_ENTRIES), [], options);
  }
}

/** Whether a table has no entry, not even a damaged one: one look, whatever there is. */
export async function isEmpty(table: Table, options: AbortOptions = {}): Promise<boolean> {
  let damaged = 0;
  for await (const _ of table.entries({ ...options, limit: 1, onDamaged: () => damaged++ })) return false;
  return damaged === 0;
}

/**
 * All entries below a prefix, those from `prefix + from` on first: who does not come to all of them, and begins each time
 * at another, passes over none for ever.
 */
export async function* entriesFrom(
  table: Table,
  prefix: string,
  from: string,
  onDamaged: (key: string) => void,
  options: AbortOptions = {},
): AsyncGenerator<readonly [key: string, value: Uint8Array]> {
  const at = prefix + from;
  for (const part of [{ gte: at }, { lt: at }])
    yield* table.entries({ ...options, ...part, prefix, onDamaged });
}
