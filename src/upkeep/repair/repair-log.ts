import { throwIfAborted } from '../../core/abort.ts';
import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { type Clock, withDeadline } from '../../core/clock.ts';
import { isCount } from '../../core/counts.ts';
import { errnoText } from '../../core/errno.ts';
import type { LogSink } from '../../providers/layers/log.ts';
import type { LogFile, LogFiles } from './log-files.ts';

/** How an attempt to repair ended. `skipped`: it is not tried before a later time. `fatal`: nothing left can rebuild it. */
export type RepairStatus = 'success' | 'failure' | 'skipped' | 'fatal';

/** What was done: what was lost was stored anew; or a provider was left, or given or relieved of its share. */
export type RepairKind = 'repair' | 'evacuate' | 'replace' | 'rebalance';

/** One attempt to repair a chunk, or to move a segment. */
export interface RepairEntry {
  readonly kind: RepairKind;
  readonly manifest: BlobAddress;
  /** What was moved; undefined for a repair, and where it was about the nodes of the manifest. */
  readonly segment: BlobAddress | undefined;
  /** Undefined: it was about the nodes of the manifest. */
  readonly chunk: number | undefined;
  readonly status: RepairStatus;
  /** What was stored for it. */
  readonly bytes: number;
  /** Why it was no success. */
  readonly error: string | undefined;
  /** When it ended, in milliseconds since 1970. */
  readonly atMs: number;
  /** When it is tried again, where it is not before. */
  readonly nextMs: number | undefined;
}

export interface RepairHistoryOptions {
  /** As many at the most. Default: all. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What is to be written down; of a repair, unless it says otherwise. */
type NewEntry = Omit<RepairEntry, 'atMs' | 'kind' | 'segment'> &
  Partial<Pick<RepairEntry, 'kind' | 'segment'>>;

/** What repair did, and what moved shards, for people. Nothing depends on it. */
export interface RepairLog {
  /** Never fails, nor takes longer than a few seconds: what cannot be written is reported, and is missing then. */
  append(entry: NewEntry): Promise<void>;
  /** The newest first, of all processes that write there. @throws what reading the files throws; `Aborted`. */
  history(options?: RepairHistoryOptions): AsyncGenerator<RepairEntry>;
}

/** Entries that are kept where there is no disk. */
const MAX_KEPT = 1000;

/** One that is forgotten with the process. */
export function createMemoryRepairLog({ clock }: { readonly clock: Pick<Clock, 'now'> }): RepairLog {
  const entries: RepairEntry[] = [];
  return {
    async append(entry) {
      const { kind = 'repair', segment, error } = entry;
      entries.push({ ...entry, kind, segment, error: error?.slice(0, MAX_ERROR), atMs: clock.now() });
      if (entries.length > MAX_KEPT) entries.shift();
    },
    async *history({ limit = Number.POSITIVE_INFINITY, signal } = {}) {
      throwIfAborted(signal, 'history');
      yield* entries.toReversed().slice(0, limit);
    },
  };
}

/** Files that are kept, each of one day by UTC. */
const MAX_FILES = 14;
const MAX_FILE_BYTES = 64 * 1024 ** 2;
/** Longer errors are cut. Escaped, a line is shorter than {@link MAX_LINE} then. */
const MAX_ERROR = 300;
const MAX_LINE = 4096;
/** Lines that wait for a slow disk; what comes then is not written. */
const MAX_WAITING = 64;
const WRITE_MS = 5_000;

interface RepairLogOptions {
  readonly clock: Clock;
  readonly files: LogFiles;
  /** Told of what could not be written, once until it can be again. */
  readonly log: LogSink;
}

/** As lines of JSON, a file a day. */
export class DiskRepairLog implements RepairLog {
  readonly #options: RepairLogOptions;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #failing = false;
  #today: string | undefined;

  constructor(options: RepairLogOptions) {
    this.#options = options;
  }

  async append(entry: NewEntry): Promise<void> {
    const { clock, log } = this.#options;
    const at = plausibleTime(clock.now()).toISOString();
    try {
      if (this.#waiting >= MAX_WAITING) throw new Error('the disk is too slow');
      const written = this.#inTurn(() => this.#write(`repair-${at.slice(0, 10)}.jsonl`, lineOf(entry, at)));
      await withDeadline(clock, WRITE_MS, 'writing the log of repairs', () => written);
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) log('warn', 'repair_log_not_written', { error: errnoText(error) });
      this.#failing = true;
    }
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#waiting++;
    const done = this.#last.then(work).finally(() => {
      this.#waiting--;
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #write(name: string, line: string): Promise<void> {
    const { files } = this.#options;
    await files.append(name, line, MAX_FILE_BYTES);
    if (this.#today === name) return;
    this.#today = name;
    const others = (await this.#names()).filter((other) => other !== name);
    for (const old of others.slice(MAX_FILES - 1)) await files.remove(old);
  }

  /** Of its files, the newest first. */
  async #names(): Promise<string[]> {
    return (await this.#options.files.list())
      .filter((name) => FILE_NAME.test(name))
      .toSorted()
      .toReversed();
  }

  async *history({
    limit = Number.POSITIVE_INFINITY,
    signal,
  }: RepairHistoryOptions = {}): AsyncGenerator<RepairEntry> {
    let left = limit;
    if (left <= 0) return;
    for (const name of await this.#names()) {
      const file = await this.#options.files.open(name);
      if (file === undefined) continue;
      try {
        for await (const line of linesFromTheEnd(file)) {
          throwIfAborted(signal, 'history');
          const entry = entryIn(line);
          if (entry === undefined) continue;
          yield entry;
          if (--left <= 0) return;
        }
      } finally {
        await file.close();
      }
    }
  }
}

const KINDS: readonly RepairKind[] = ['repair', 'evacuate', 'replace', 'rebalance'];
const STATUSES: readonly RepairStatus[] = ['success', 'failure', 'skipped', 'fatal'];
const FILE_NAME = /^repair-\d{4}-\d{2}-\d{2}\.jsonl$/;
const LAST_MS = Date.UTC(9999, 11, 31);

/** A clock that shows nonsense must not keep a line from being written. */
const plausibleTime = (ms: number): Date => new Date(ms >= 0 && ms <= LAST_MS ? ms : 0);

const isoOf = (ms: number): string => plausibleTime(ms).toISOString();

function lineOf(
  { kind, manifest, segment, chunk, status, bytes, error, nextMs }: NewEntry,
  ts: string,
): string {
  const next = nextMs === undefined ? undefined : isoOf(nextMs);
  const why = error?.slice(0, MAX_ERROR);
  // As before there was anything but repairs.
  const its = kind === 'repair' ? undefined : kind;
  return JSON.stringify({ kind: its, manifest, segment, chunk, status, bytes, error: why, ts, next });
}

/** Undefined for a line that was cut off, or is none of ours. */
function entryIn(line: string): RepairEntry | undefined {
  try {
    const { kind = 'repair', manifest, segment, chunk, status, bytes, error, ts, next } = JSON.parse(line);
    const its = KINDS.find((one) => one === kind);
    const known = STATUSES.find((one) => one === status);
    const [atMs, nextMs] = [timeIn(ts), next === undefined ? undefined : timeIn(next)];
    const right = typeof manifest === 'string' && isBlobAddress(manifest) && isCount(bytes);
    if (!right || its === undefined || known === undefined || atMs === undefined) return undefined;
    if (chunk !== undefined && !isCount(chunk)) return undefined;
    if (segment !== undefined && (typeof segment !== 'string' || !isBlobAddress(segment))) return undefined;
    const why = typeof error === 'string' ? error : undefined;
    return { kind: its, manifest, segment, chunk, status: known, bytes, error: why, atMs, nextMs };
  } catch {
    return undefined;
  }
}

function timeIn(text: unknown): number | undefined {
  const ms = typeof text === 'string' ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}

const BLOCK = 64 * 1024;

/** Holds a block and a line at the most, however long the file is; lines that are too long are passed over. */
async function* linesFromTheEnd(file: LogFile): AsyncGenerator<string> {
  let tail = Buffer.alloc(0);
  let tooLong = false;
  const whole = (head: Buffer): string | undefined =>
    tooLong || head.length + tail.length > MAX_LINE
      ? undefined
      : Buffer.concat([head, tail]).toString('utf8');
  for (let at = file.bytes; at > 0; ) {
    const length = Math.min(BLOCK, at);
    at -= length;
    const block = await file.read(at, length);
    let end = block.length;
    for (
      let start = block.lastIndexOf('\n');
      start >= 0;
      start = end === 0 ? -1 : block.lastIndexOf('\n', end - 1)
    ) {
      const line = whole(block.subarray(start + 1, end));
      if (line) yield line;
      [tail, tooLong, end] = [Buffer.alloc(0), false, start];
    }
    const rest = block.subarray(0, end);
    tooLong ||= rest.length + tail.length > MAX_LINE;
    tail = tooLong ? Buffer.alloc(0) : Buffer.concat([rest, tail]);
  }
  const line = whole(Buffer.alloc(0));
  if (line) yield line;
}
