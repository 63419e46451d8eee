import { isDeepStrictEqual } from 'node:util';
import { equalBytes, toHex } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { loadRoot, MAX_ROOT_BYTES } from './close.ts';
import type { Ed25519 } from './ed25519/ed25519.ts';
import { type FileRecord, MAX_FILE_BYTES, recordsDespite, scanFile } from './log/batch.ts';
import { fileName, filePath, listEpochs, listFiles, rootPath } from './log/folder.ts';
import { IdSet } from './log/ids.ts';
import type { Place } from './log/load.ts';
import { blake3Tree, TreeRoot } from './merkle/tree.ts';
import { idOf, isSignedRight } from './records/records.ts';
import { type EpochRoot, type EpochTotals, isRootSigned, RECORDS_PER_FILE } from './records/root.ts';
import { Totals } from './totals.ts';

export interface AuditOptions extends Place {
  readonly ed25519: Ed25519;
  /** Public key of the gateway, where it is known from elsewhere. */
  readonly gateway?: Uint8Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The first that is not as it must be. */
export interface Difference {
  /** Below `receipts/read`. */
  readonly file: string;
  /** Where the batch begins that it is in. */
  readonly byte?: number;
  /** Number of the record in the file, from 0. */
  readonly record?: number;
  readonly why: string;
}

export interface AuditReport {
  readonly epoch: number;
  readonly root: EpochRoot | undefined;
  /** What the records come to, as far as they were gone through. */
  readonly totals: EpochTotals;
  /** Signatures that were checked and are valid. */
  readonly signatures: number;
  /** The root before: `absent` from the copy, so that nothing is said of it. */
  readonly previous: 'none' | 'right' | 'absent';
  readonly difference: Difference | undefined;
}

/**
 * Recomputes an epoch from copied files alone: docs/format/receipt.md, "Audit".
 * @throws HoldfastError `NotFound`, code `no_such_epoch`, where there is no root; what the files throw.
 */
export async function auditEpoch(options: AuditOptions, epoch: number): Promise<AuditReport> {
  const audit = new Audit(options, epoch);
  const difference = await audit.run();
  return { epoch, ...audit.found(), difference };
}

interface FileCheck {
  readonly subtree: Uint8Array;
  /** Records. */
  readonly size: number;
  readonly difference: Difference | undefined;
}

class Audit {
  readonly #options: AuditOptions;
  readonly #epoch: number;
  readonly #ids = new IdSet(16);
  readonly #totals = new Totals();
  #root: EpochRoot | undefined;
  #signatures = 0;
  #previous: AuditReport['previous'] = 'none';

  constructor(options: AuditOptions, epoch: number) {
    this.#options = options;
    this.#epoch = epoch;
  }

  found(): Omit<AuditReport, 'epoch' | 'difference'> {
    const totals = this.#totals.totals();
    return { root: this.#root, totals, signatures: this.#signatures, previous: this.#previous };
  }

  async run(): Promise<Difference | undefined> {
    return (
      (await this.#checkRoot()) ??
      (await this.#checkNames()) ??
      (await this.#checkRecords()) ??
      (await this.#checkPrevious())
    );
  }

  async #checkRoot(): Promise<Difference | undefined> {
    const file = `${this.#epoch}.root`;
    try {
      this.#root = (await loadRoot(this.#options, this.#epoch)).root;
    } catch (error) {
      if (!isHoldfastError(error, 'Corrupt')) throw error;
      return { file, why: error.message };
    }
    const { ed25519, gateway } = this.#options;
    if (this.#root.epoch !== this.#epoch) return { file, why: `it is of epoch ${this.#root.epoch}` };
    if (!isRootSigned(this.#root, ed25519)) return { file, why: 'its signature is not valid' };
    if (gateway !== undefined && !equalBytes(gateway, this.#root.gateway))
      return { file, why: `it is of another gateway, ${toHex(this.#root.gateway)}` };
    return undefined;
  }

  async #checkNames(): Promise<Difference | undefined> {
    const { files, folder } = this.#options;
    const { count, others } = await listFiles(files, folder, this.#epoch);
    const stated = this.#root!.subtrees.length;
    if (count < stated) return { file: this.#name(count), why: 'it is missing' };
    const besides = count > stated ? fileName(stated) : others[0];
    if (besides === undefined) return undefined;
    return { file: `${this.#epoch}/${besides}`, why: `the root counts ${stated} files, and not this one` };
  }

  #name(seq: number): string {
    return `${this.#epoch}/${fileName(seq)}`;
  }

  async #checkRecords(): Promise<Difference | undefined> {
    const root = this.#root!;
    const whole = new TreeRoot(blake3Tree(this.#options.blake3));
    await this.#learnIdsBefore();
    for (const [seq, stated] of root.subtrees.entries()) {
      this.#options.signal?.throwIfAborted();
      const { subtree, size, difference } = await this.#checkFile(seq);
      if (difference !== undefined) return difference;
      const file = this.#name(seq);
      if (!equalBytes(subtree, stated))
        return { file, why: 'its records are not those that the root was made of' };
      // Over files of another size the same hashes are no tree of the records, and no proof leads to the root.
      if (size !== RECORDS_PER_FILE && seq < root.subtrees.length - 1)
        return { file, why: `it has ${size} records, and is not the last` };
      whole.append(subtree);
    }
    const file = `${this.#epoch}.root`;
    if (!equalBytes(whole.root(), root.root)) return { file, why: 'root is not the hash of its subtrees' };
    const totals = this.#totals.totals();
    for (const key of ['count', 'bytes', 'credited', 'denied', 'providers'] as const)
      if (!isDeepStrictEqual(totals[key], root[key]))
        return { file, why: `${key} is not what the records come to` };
    return undefined;
  }

  async #checkFile(seq: number): Promise<FileCheck> {
    const { files, folder, blake3, ed25519 } = this.#options;
    const hash = blake3Tree(blake3);
    const tree = new TreeRoot(hash);
    const file = this.#name(seq);
    const bytes = await files.read(filePath(folder, this.#epoch, seq), MAX_FILE_BYTES);
    if (bytes === undefined)
      return { subtree: hash.empty(), size: 0, difference: { file, why: 'it is missing' } };
    /** By the number of the record, so that the first is found whenever it is known. */
    const wrong = new Map<number, string>();
    const checks: Promise<void>[] = [];
    const check = (record: FileRecord, index: number): void => {
      const why = this.#wrongIn(record);
      if (why !== undefined) return void wrong.set(index, why);
      checks.push(
        isSignedRight(record.receipt, record.bytes, ed25519).then((right) => {
          if (!right) wrong.set(index, 'its signature is not valid');
          else if ('sig' in record.receipt) this.#signatures++;
        }),
      );
    };
    const { flaw } = scanFile(blake3, bytes, (record, index) => {
      tree.append(hash.leaf(record.bytes));
      this.#totals.add(record.receipt);
      check(record, index);
    });
    if (flaw !== undefined && flaw.record === undefined)
      for (const [i, record] of recordsDespite(bytes, flaw.at).entries()) check(record, tree.size + i);
    await Promise.all(checks);
    const record = wrong.size > 0 ? Math.min(...wrong.keys()) : flaw?.record;
    const why = record === undefined ? flaw?.why : (wrong.get(record) ?? flaw?.why);
    const { size } = tree;
    if (why === undefined) return { subtree: tree.root(), size, difference: undefined };
    const place = {
      ...(flaw === undefined ? {} : { byte: flaw.at }),
      ...(record === undefined ? {} : { record }),
    };
    return { subtree: tree.root(), size, difference: { file, ...place, why } };
  }

  #wrongIn({ receipt }: FileRecord): string | undefined {
    if (!equalBytes(receipt.gateway, this.#root!.gateway)) return 'it is of another gateway';
    const id = idOf(receipt);
    return id !== undefined && !this.#ids.add(id) ? 'its id was there before' : undefined;
  }

  /** A read of the last minutes of an hour may be acknowledged in the next one. */
  async #learnIdsBefore(): Promise<void> {
    const { files, folder, blake3 } = this.#options;
    const { count } = await listFiles(files, folder, this.#epoch - 1);
    for (let seq = 0; seq < count; seq++) {
      const bytes = await files.read(filePath(folder, this.#epoch - 1, seq), MAX_FILE_BYTES);
      if (bytes === undefined) continue;
      // Whether it is whole is its own audit's matter.
      scanFile(blake3, bytes, ({ receipt }) => {
        const id = idOf(receipt);
        if (id !== undefined) this.#ids.add(id);
      });
    }
  }

  async #checkPrevious(): Promise<Difference | undefined> {
    const { files, folder, blake3 } = this.#options;
    const { previous } = this.#root!;
    const there = (await listEpochs(files, folder)).roots.filter((one) => one < this.#epoch).at(-1);
    const file = `${this.#epoch}.root`;
    if (there !== undefined && there > (previous?.epoch ?? -1))
      return { file, why: `it does not follow ${there}.root, which is there` };
    if (previous === undefined) return undefined;
    const bytes = await files.read(rootPath(folder, previous.epoch), MAX_ROOT_BYTES);
    this.#previous = bytes === undefined ? 'absent' : 'right';
    if (bytes === undefined || equalBytes(blake3.hash(bytes), previous.digest)) return undefined;
    return { file: `${previous.epoch}.root`, why: `it is not the one that ${file} follows` };
  }
}
