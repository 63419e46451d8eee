import { type AbortOptions, abortable, throwIfAborted } from '../core/abort.ts';
import type { BatchOp, Precondition } from '../engine/engine.ts';
import type { NamedObject } from './name-page.ts';

/** A change of a name, and what is to be written with it. */
export interface NameWrite {
  readonly nameKey: string;
  /** What the engine must hold, byte for byte; `any`: whatever it is, damaged too. */
  readonly expected: Uint8Array | undefined | 'any';
  readonly name: string;
  readonly listed: NamedObject | undefined;
  readonly ops: readonly BatchOp[];
  /** What else must hold. */
  readonly conditions?: readonly Precondition[] | undefined;
}

interface Waiting {
  readonly change: NameWrite;
  readonly signal: AbortSignal | undefined;
  settle(written: boolean | Promise<boolean>): void;
}

/** Changes that are written in one step. */
const MAX_GROUP = 64;
const MAX_GROUP_BYTES = 8 * 1024 ** 2;

/** Gathers changes of names that come while others are being written. */
export class WriteQueue {
  readonly #write: (changes: readonly NameWrite[]) => Promise<boolean[]>;
  readonly #waiting: Waiting[] = [];
  #writing = false;

  /** @param write says of each change whether it was written. */
  constructor(write: (changes: readonly NameWrite[]) => Promise<boolean[]>) {
    this.#write = write;
  }

  /**
   * Writes one change of a name and of the index in one step, flushed; those that come while others are being written
   * go together, so many at once cost few flushes and are in nobody's way.
   * @returns false when the engine did not hold what was expected; nothing is written then.
   */
  add(change: NameWrite, { signal }: AbortOptions = {}): Promise<boolean> {
    throwIfAborted(signal, 'a change of a name');
    const written = new Promise<boolean>((settle) => this.#waiting.push({ change, signal, settle }));
    if (!this.#writing) void this.#writeWaiting();
    return abortable(written, signal, 'a change of a name');
  }

  async #writeWaiting(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const group = this.#nextGroup();
      const written = this.#write(group.map(({ change }) => change));
      const failed = await written.then(
        () => false,
        () => true,
      );
      // What is wrong with one is not to keep the others from being written.
      const alone = failed && group.length > 1;
      for (const [i, { change, settle }] of group.entries()) {
        settle(alone ? this.#write([change]).then(([one]) => one!) : written.then((all) => all[i]!));
      }
    }
    this.#writing = false;
  }

  #nextGroup(): Waiting[] {
    const group: Waiting[] = [];
    const names = new Set<string>();
    let bytes = 0;
    for (let at = 0; at < this.#waiting.length && group.length < MAX_GROUP; ) {
      const { change, signal } = this.#waiting[at]!;
      bytes += change.ops.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      if (group.length > 0 && bytes > MAX_GROUP_BYTES) break;
      if (names.has(change.nameKey)) at++;
      else {
        const [taken] = this.#waiting.splice(at, 1);
        if (signal?.aborted) continue;
        names.add(change.nameKey);
        group.push(taken!);
      }
    }
    return group;
  }
}
