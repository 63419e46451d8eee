import { join } from 'node:path';
import { MAX_FILES } from '../records/root.ts';
import type { ReceiptFiles } from './files.ts';

/** Where everything is below a folder of receipts: docs/format/receipt.md, "Files". */

const EPOCH = /^(?:0|[1-9]\d{0,9})$/;
const STATEMENT = /^(0|[1-9]\d{0,9})\.(root|final)$/;
const FILE = /^(\d{8})\.cbor$/;

const readsOf = (folder: string): string => join(folder, 'read');

export const rootPath = (folder: string, epoch: number): string => join(readsOf(folder), `${epoch}.root`);

export const finalPath = (folder: string, epoch: number): string => join(readsOf(folder), `${epoch}.final`);

export const filePath = (folder: string, epoch: number, seq: number): string =>
  join(readsOf(folder), `${epoch}`, fileName(seq));

export const fileName = (seq: number): string => `${`${seq}`.padStart(8, '0')}.cbor`;

export interface EpochsThere {
  /** With records, ascending. */
  readonly folders: readonly number[];
  /** With a root, ascending. */
  readonly roots: readonly number[];
  /** With a root that was found anchored, ascending. */
  readonly finals: readonly number[];
}

export async function listEpochs(files: ReceiptFiles, folder: string): Promise<EpochsThere> {
  const folders: number[] = [];
  const roots: number[] = [];
  const finals: number[] = [];
  for (const name of await files.list(readsOf(folder))) {
    if (EPOCH.test(name)) folders.push(Number(name));
    const [, epoch, kind] = STATEMENT.exec(name) ?? [];
    if (epoch !== undefined) (kind === 'root' ? roots : finals).push(Number(epoch));
  }
  const ascending = (a: number, b: number): number => a - b;
  return {
    folders: folders.sort(ascending),
    roots: roots.sort(ascending),
    finals: finals.sort(ascending),
  };
}

export interface FilesThere {
  /** How many follow each other from the first. */
  readonly count: number;
  /** What is there besides, in order: files behind a gap, and what has no name of ours. */
  readonly others: readonly string[];
}

export async function listFiles(files: ReceiptFiles, folder: string, epoch: number): Promise<FilesThere> {
  const names = await files.list(join(readsOf(folder), `${epoch}`));
  const seqs = new Set(
    names.map((name) => FILE.exec(name)).map((match) => (match === null ? -1 : Number(match[1]))),
  );
  let count = 0;
  while (count < MAX_FILES && seqs.has(count)) count++;
  const mine = new Set(Array.from({ length: count }, (_, seq) => fileName(seq)));
  const others = names.filter((name) => !mine.has(name) && !name.startsWith('.')).sort();
  return { count, others };
}
