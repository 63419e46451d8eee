import type { AbortOptions } from '../../core/abort.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { toHex, utf8Decode, utf8Encode } from '../../core/bytes.ts';
import { type Clock, recordedTime } from '../../core/clock.ts';
import { isCount } from '../../core/counts.ts';
import type { BatchOp, Engine } from '../../engine/engine.ts';

/** `<folder>/anchor` and `<folder>/<epoch>` → JSON: docs/format/records.md. A folder is 32 hex digits of its path's BLAKE3. */
const TABLE = 'anchor_watch';
const MAX_LOST = 4_096;
/** Below what one batch may have. */
const MAX_OPS = 1_024;

/** An hour that was credited and that its anchor does not have any more. */
export interface LostHour {
  readonly folder: string;
  readonly epoch: number;
  /** When it was found out, milliseconds since the Unix epoch. */
  readonly sinceMs: number;
}

export interface AnchorWatchOptions {
  readonly engine: Engine;
  readonly blake3: Pick<Blake3, 'hash'>;
  readonly clock: Clock;
}

/** What processes that settle tell each other, and who looks on, of where credited hours are anchored. */
export class AnchorWatch {
  readonly #options: AnchorWatchOptions;

  constructor(options: AnchorWatchOptions) {
    this.#options = options;
  }

  /** The anchor in which all credited hours of a folder were found last. */
  async anchorOf(folder: string, options?: AbortOptions): Promise<string | undefined> {
    const bytes = await this.#options.engine.table(TABLE).get(`${this.#prefix(folder)}anchor`, options);
    const { anchor } = fieldsOf(bytes);
    return typeof anchor === 'string' ? anchor : undefined;
  }

  async setAnchor(folder: string, anchor: string, options?: AbortOptions): Promise<void> {
    const value = encode({ folder, anchor });
    await this.#options.engine.table(TABLE).put(`${this.#prefix(folder)}anchor`, value, options);
  }

  /** By folder and hour, the first 4,096. What cannot be read is passed over. */
  async lost(options: AbortOptions & { readonly folder?: string } = {}): Promise<LostHour[]> {
    const found: LostHour[] = [];
    const { folder: one, signal } = options;
    const prefix = one === undefined ? '' : this.#prefix(one);
    const range = { prefix, limit: 2 * MAX_LOST, signal, onDamaged: () => undefined };
    for await (const [key, bytes] of this.#options.engine.table(TABLE).entries(range)) {
      const { folder, since } = fieldsOf(bytes);
      const epoch = /\/(\d{10})$/.exec(key)?.[1];
      if (epoch === undefined || typeof folder !== 'string' || !isCount(since)) continue;
      found.push({ folder, epoch: Number(epoch), sinceMs: since as number });
    }
    return found.slice(0, MAX_LOST);
  }

  /** From now on these hours of a folder are lost, and no others. */
  async setLost(folder: string, epochs: readonly number[], options: AbortOptions = {}): Promise<void> {
    const before = new Set((await this.lost({ ...options, folder })).map(({ epoch }) => epoch));
    const now = new Set(epochs);
    const value = encode({ folder, since: recordedTime(this.#options.clock) });
    await this.#write(
      [
        ...epochs.filter((epoch) => !before.has(epoch)).map((epoch) => ({ epoch, value })),
        ...[...before].filter((epoch) => !now.has(epoch)).map((epoch) => ({ epoch, value: undefined })),
      ].map(({ epoch, value }) => ({
        table: TABLE,
        key: `${this.#prefix(folder)}${epochText(epoch)}`,
        value,
      })),
      options,
    );
  }

  /** Nothing is said any more of folders that nobody settles. */
  async keepOnly(folders: readonly string[], options: AbortOptions = {}): Promise<void> {
    const gone: BatchOp[] = [];
    const range = { ...options, limit: 2 * MAX_LOST, onDamaged: () => undefined };
    const kept = folders.map((folder) => this.#prefix(folder));
    for await (const [key] of this.#options.engine.table(TABLE).entries(range))
      if (!kept.some((prefix) => key.startsWith(prefix))) gone.push({ table: TABLE, key, value: undefined });
    await this.#write(gone, options);
  }

  async #write(ops: readonly BatchOp[], options: AbortOptions): Promise<void> {
    for (let from = 0; from < ops.length; from += MAX_OPS)
      await this.#options.engine.batch(ops.slice(from, from + MAX_OPS), [], options);
  }

  #prefix(folder: string): string {
    return `${toHex(this.#options.blake3.hash(utf8Encode(folder))).slice(0, 32)}/`;
  }
}

const epochText = (epoch: number): string => `${epoch}`.padStart(10, '0');

const encode = (fields: object): Uint8Array => utf8Encode(JSON.stringify({ v: 1, ...fields }));

function fieldsOf(bytes: Uint8Array | undefined): Record<string, unknown> {
  if (bytes === undefined) return {};
  try {
    return JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
  } catch {
    return {};
  }
}
