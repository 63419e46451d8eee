import { recordedTime } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { BatchOp } from '../../engine/engine.ts';
import type { ObjectKeys } from '../../keys/derivation.ts';
import type { PutJournal } from '../../records/journal.ts';
import {
  type FinishedSegment,
  RENEW_MS,
  resumeEntry,
  sealFinished,
  sealUnfinished,
  segmentKey,
  type Unfinished,
} from '../../records/unfinished.ts';
import type { VaultContext } from '../context.ts';

/** Notes the finished segments of a put, so that another run can go on with it. Of an object of one segment there are none. */
export class ResumeLog {
  readonly #context: VaultContext;
  readonly #journal: PutJournal;
  readonly #put: Omit<Unfinished, 'sinceMs'>;
  readonly #keys: ObjectKeys;
  /** Where segments end; undefined for those that are not noted, or not for certain. */
  readonly #ends: (number | undefined)[] = [];
  /** When its record was last written, by the monotonic clock. */
  #begunMs: number | undefined;

  constructor(
    context: VaultContext,
    journal: PutJournal,
    put: Omit<Unfinished, 'sinceMs'>,
    keys: ObjectKeys,
  ) {
    this.#context = context;
    this.#journal = journal;
    this.#put = put;
    this.#keys = keys;
  }

  /** For a put that was taken up: where its finished segments end. */
  beginWith(ends: readonly number[]): void {
    this.#ends.push(...ends);
    this.#begunMs = this.#context.clock.monotonic();
  }

  /** So many bytes another run would find stored: those of all segments up to the first that is not noted. */
  get storedBytes(): number {
    let stored = 0;
    for (const end of this.#ends) {
      if (end === undefined) break;
      stored = end;
    }
    return stored;
  }

  /**
   * Resolves once the segment outlives a power cut. What cannot be written is not noted, and the put goes on.
   * @throws HoldfastError `Conflict`, code `put_fenced`.
   */
  async finished(index: number, segment: FinishedSegment): Promise<void> {
    const { engine, random, clock } = this.#context;
    const key = segmentKey(this.#journal.id, index);
    const ops = [resumeEntry(key, sealFinished(this.#keys.sealed, key, segment, random))];
    const now = clock.monotonic();
    const before = this.#begunMs;
    while (this.#ends.length <= index) this.#ends.push(undefined);
    if (before === undefined || now - before >= RENEW_MS) {
      this.#begunMs = now;
      ops.push(this.#header());
    }
    const written = await engine
      .batch(ops, this.#journal.conditions, { sync: true })
      .catch((error: unknown) => {
        if (isHoldfastError(error, 'Aborted')) throw error;
        if (ops.length > 1) this.#begunMs = before;
        return undefined;
      });
    if (written === false) return this.#journal.assertHeld();
    this.#ends[index] = written ? segment.end : undefined;
  }

  /**
   * Resolves once no other run takes any of it up. Before that, nothing of it may be deleted.
   * @throws what the engine throws; HoldfastError `Conflict`, code `put_fenced`.
   */
  async forget(): Promise<void> {
    if (this.#ends.length === 0) return;
    const ops = [resumeEntry(this.#journal.id, undefined)];
    const done = await this.#context.engine.batch(ops, this.#journal.conditions, { sync: true });
    if (!done) await this.#journal.assertHeld();
  }

  /** What is to be removed once the put is over. */
  get entries(): BatchOp[] {
    const { id } = this.#journal;
    const segments = Array.from(this.#ends, (_, index) => resumeEntry(segmentKey(id, index), undefined));
    return segments.length > 0 ? [...segments, resumeEntry(id, undefined)] : [];
  }

  #header(): BatchOp {
    const { keys, random, clock } = this.#context;
    const put = { ...this.#put, sinceMs: recordedTime(clock) };
    return resumeEntry(this.#journal.id, sealUnfinished(keys.wrap, this.#journal.id, put, random));
  }
}
