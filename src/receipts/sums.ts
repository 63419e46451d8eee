import type { Blake3 } from '../core/b3/blake3.ts';
import { equalBytes } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import { type EpochEnd, type FileRange, goThrough, type Place } from './log/load.ts';
import { blake3Tree, rootOf, TreeRoot } from './merkle/tree.ts';
import { readCounted } from './records/records.ts';
import type { EpochRoot } from './records/root.ts';
import { type Tallied, Totals } from './totals.ts';

/** What an epoch's files come to. */
export interface EpochSums extends Pick<EpochRoot, 'root' | 'subtrees'> {
  readonly totals: ReturnType<Totals['totals']>;
  /** That all records name; undefined where they differ. */
  readonly gateway: Uint8Array | undefined;
  readonly end: EpochEnd;
}

/** What some of its files come to. */
export interface FileSums extends Pick<EpochSums, 'subtrees' | 'end'> {
  readonly tallied: Tallied;
  /** That the records name, each once. More than two are not told apart. */
  readonly gateways: readonly Uint8Array[];
}

/**
 * Goes through an epoch that nobody writes to, file by file: it has one of them in memory at a time.
 * @throws HoldfastError `Corrupt`, code `receipts_damaged`.
 */
export async function sumEpoch(place: Place, epoch: number): Promise<EpochSums> {
  return joinSums(place.blake3, [await sumFiles(place, epoch)]);
}

/** The same of some files; default: all. @throws HoldfastError `Corrupt`, code `receipts_damaged`. */
export async function sumFiles(place: Place, epoch: number, range?: FileRange): Promise<FileSums> {
  const hash = blake3Tree(place.blake3);
  const totals = new Totals();
  const trees = new Map<number, TreeRoot>();
  const gateways: Uint8Array[] = [];
  const end = await goThrough(
    place,
    epoch,
    (cursor, seq) => {
      const from = cursor.at;
      const receipt = readCounted(cursor);
      entryOf(trees, seq, () => new TreeRoot(hash)).append(hash.leaf(cursor.bytes.subarray(from, cursor.at)));
      totals.add(receipt);
      addGateway(gateways, receipt.gateway);
    },
    range,
  );
  return {
    subtrees: [...trees.values()].map((tree) => tree.root()),
    tallied: totals.tallied(),
    gateways,
    end,
  };
}

/** What of it may be large and can be given away. */
export const buffersOf = ({ tallied }: Pick<FileSums, 'tallied'>): ArrayBuffer[] =>
  tallied.providers.flatMap(([, , tables]) => tables.map(({ slots }) => slots.buffer as ArrayBuffer));

/** @param parts one after the other all the files, at least one. */
export function joinSums(blake3: Pick<Blake3, 'hash'>, parts: readonly FileSums[]): EpochSums {
  const totals = new Totals();
  const gateways: Uint8Array[] = [];
  for (const part of parts) {
    totals.join(part.tallied);
    for (const gateway of part.gateways) addGateway(gateways, gateway);
  }
  const subtrees = parts.flatMap((part) => part.subtrees);
  return {
    ...{ subtrees, root: rootOf(blake3Tree(blake3), subtrees), totals: totals.totals() },
    gateway: gateways.length === 1 ? gateways[0] : undefined,
    end: parts.at(-1)!.end,
  };
}

function addGateway(gateways: Uint8Array[], one: Uint8Array): void {
  if (gateways.length < 2 && !gateways.some((known) => equalBytes(known, one))) gateways.push(one.slice());
}
