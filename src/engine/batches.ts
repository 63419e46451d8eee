import { type BatchOp, type Engine, MAX_BATCH_ENTRIES, type WriteOptions } from './engine.ts';

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
