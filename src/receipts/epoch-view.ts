import { toHex } from '../core/bytes.ts';
import { isHoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { loadRoot } from './close.ts';
import type { GroupTotals } from './inspect.ts';
import { MAX_FILE_BYTES, scanInTurns } from './log/batch.ts';
import { filePath, finalPath, listEpochs, listFiles } from './log/folder.ts';
import type { Place } from './log/load.ts';
import { EPOCH_MS } from './records/grants.ts';
import type { Receipt } from './records/records.ts';
import type { ProviderTotals } from './records/root.ts';
import { decodeFinal, MAX_FINAL_BYTES } from './settlement/final.ts';

/** How an hour of a folder stands. */
export interface EpochView {
  readonly epoch: number;
  /** Its beginning. */
  readonly fromMs: number;
  /** `open`: without a root; `closed`: with one; `final`: found anchored; `damaged`: its root or final cannot be read. */
  readonly state: 'open' | 'closed' | 'final' | 'damaged';
  /** What the root says; undefined without one. */
  readonly root?: RootView;
  readonly final?: {
    readonly anchor: string;
    readonly where: string;
    readonly depth: number;
    readonly atMs: number;
  };
}

interface RootView {
  /** BLAKE3 of the file, which anchors keep. */
  readonly digest: string;
  /** Hash of the tree. */
  readonly tree: string;
  readonly receipts: number;
  readonly bytes: number;
  readonly credited: number;
  readonly denied: number;
  readonly providers: readonly ProviderTotals[];
}

/** Hours of a folder, the newest first. @param before only those before this one. */
export async function viewEpochs(
  place: Place,
  {
    limit,
    before = Number.POSITIVE_INFINITY,
  }: { readonly limit: number; readonly before?: number | undefined },
): Promise<EpochView[]> {
  const { folders, roots, finals } = await listEpochs(place.files, place.folder);
  const newest = [...new Set([...folders, ...roots])].filter((epoch) => epoch < before).sort((a, b) => b - a);
  const views: EpochView[] = [];
  for (const epoch of newest.slice(0, limit)) {
    const base = { epoch, fromMs: epoch * EPOCH_MS };
    if (!roots.includes(epoch)) views.push({ ...base, state: 'open' });
    else
      views.push(
        await viewClosed(place, epoch, finals.includes(epoch)).catch((error: unknown): EpochView => {
          if (isHoldfastError(error)) return { ...base, state: 'damaged' };
          throw error;
        }),
      );
  }
  return views;
}

async function viewClosed(place: Place, epoch: number, hasFinal: boolean): Promise<EpochView> {
  const { files, folder, blake3 } = place;
  const { bytes, root } = await loadRoot(place, epoch);
  const view = {
    epoch,
    fromMs: epoch * EPOCH_MS,
    root: {
      digest: toHex(blake3.hash(bytes)),
      tree: toHex(root.root),
      ...{ receipts: root.count, bytes: root.bytes, credited: root.credited, denied: root.denied },
      providers: root.providers,
    },
  };
  const placed = hasFinal ? await files.read(finalPath(folder, epoch), MAX_FINAL_BYTES) : undefined;
  if (placed === undefined) return { ...view, state: 'closed' };
  const { anchor, where, depth, at } = decodeFinal(placed);
  return { ...view, state: 'final', final: { anchor, where, depth, atMs: at } };
}

/** Where in a folder of receipts is read on. */
export interface ReadsCursor {
  readonly epoch: number;
  /** Of the epoch. */
  readonly file: number;
}

/** Sums over the allowed reads of a part of a folder. */
export interface ReadsPage {
  readonly reads: number;
  readonly signed: number;
  readonly bytes: number;
  readonly signedBytes: number;
  /** The same by what the reads name, the most bytes first. */
  readonly providers: readonly GroupTotals[];
  readonly manifests: readonly GroupTotals[];
  readonly domains: readonly GroupTotals[];
  /** Where the next page begins; undefined: there is no more at the moment. */
  readonly next: ReadsCursor | undefined;
}

/** Records of one page are at most as many files full: about 16,000. */
const FILES_OF_PAGE = 4;

/**
 * What was read since an hour began, by what is on the disk, page by page: sums of pages add up. The last file may grow
 * after it was read, so who follows it reads it again.
 */
export async function readsSince(place: Place, since: ReadsCursor, signal?: AbortSignal): Promise<ReadsPage> {
  const { files, folder, blake3 } = place;
  const sums = new ReadSums();
  const isAborted = (): boolean => signal?.aborted === true;
  let left = FILES_OF_PAGE;
  const { folders } = await listEpochs(files, folder);
  for (const epoch of folders.filter((one) => one >= since.epoch)) {
    const { count } = await listFiles(files, folder, epoch);
    for (let seq = epoch === since.epoch ? since.file : 0; seq < count; seq++) {
      signal?.throwIfAborted();
      if (left-- === 0) return sums.page({ epoch, file: seq });
      const bytes = await files.read(filePath(folder, epoch, seq), MAX_FILE_BYTES);
      if (bytes !== undefined)
        await scanInTurns(blake3, bytes, ({ receipt }) => sums.add(receipt), isAborted);
    }
  }
  signal?.throwIfAborted();
  return sums.page(undefined);
}

type Sum = { -readonly [K in keyof Omit<GroupTotals, 'name'>]: number };

const nothing = (): Sum => ({ reads: 0, signed: 0, bytes: 0, signedBytes: 0 });

class ReadSums {
  readonly #all = nothing();
  readonly #groups = {
    providers: new Map<string, Sum>(),
    manifests: new Map<string, Sum>(),
    domains: new Map<string, Sum>(),
  };

  add(receipt: Receipt): void {
    if (receipt.kind !== 'read' || !receipt.allowed) return;
    const { providers, manifests, domains } = this.#groups;
    for (const sum of [
      this.#all,
      entryOf(providers, receipt.provider, nothing),
      entryOf(manifests, `b3:${toHex(receipt.manifest)}`, nothing),
      entryOf(domains, receipt.domain, nothing),
    ]) {
      sum.reads++;
      sum.bytes += receipt.bytes;
      if (receipt.sig === undefined) continue;
      sum.signed++;
      sum.signedBytes += receipt.bytes;
    }
  }

  page(next: ReadsCursor | undefined): ReadsPage {
    const { providers, manifests, domains } = this.#groups;
    const listed = (groups: ReadonlyMap<string, Sum>): GroupTotals[] =>
      [...groups].map(([name, sum]) => ({ name, ...sum })).sort((a, b) => b.bytes - a.bytes);
    return {
      ...this.#all,
      ...{ providers: listed(providers), manifests: listed(manifests), domains: listed(domains), next },
    };
  }
}
