import { equalBytes } from '../core/bytes.ts';
import { type EpochEnd, goThrough, type Place } from './log/load.ts';
import { blake3Tree, TreeRoot } from './merkle/tree.ts';
import { readCounted } from './records/records.ts';
import type { EpochRoot } from './records/root.ts';
import { Totals } from './totals.ts';

/** What an epoch's files come to. */
export interface EpochSums extends Pick<EpochRoot, 'root' | 'subtrees'> {
  readonly totals: ReturnType<Totals['totals']>;
  /** That all records name; undefined where they differ. */
  readonly gateway: Uint8Array | undefined;
  readonly end: EpochEnd;
}

/**
 * Goes through an epoch that nobody writes to, file by file: it has one of them in memory at a time.
 * @throws HoldfastError `Corrupt`, code `receipts_damaged`.
 */
export async function sumEpoch(place: Place, epoch: number): Promise<EpochSums> {
  const hash = blake3Tree(place.blake3);
  const totals = new Totals();
  const trees: TreeRoot[] = [];
  let gateway: Uint8Array | undefined;
  let isOne = true;
  const end = await goThrough(place, epoch, (cursor, seq) => {
    const from = cursor.at;
    const receipt = readCounted(cursor);
    trees[seq] ??= new TreeRoot(hash);
    trees[seq].append(hash.leaf(cursor.bytes.subarray(from, cursor.at)));
    totals.add(receipt);
    gateway ??= receipt.gateway.slice();
    isOne &&= equalBytes(gateway, receipt.gateway);
  });
  const subtrees = trees.map((tree) => tree.root());
  const whole = new TreeRoot(hash);
  for (const subtree of subtrees) whole.append(subtree);
  return {
    ...{ subtrees, root: whole.root(), totals: totals.totals(), end },
    gateway: isOne ? gateway : undefined,
  };
}
