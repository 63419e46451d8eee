import { recordedTime } from '../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
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
  /** Plaintext of segments, by their first chunks; 0 where it is not certain that they are noted. */
  readonly #noted = new Map<number, number>();
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

  /** For a put that was taken up: the plaintext of its finished segments, by their first chunks. */
  beginWith(noted: ReadonlyMap<number, number>): void {
    for (const [firstChunk, bytes] of noted) this.#noted.set(firstChunk, bytes);
    this.#begunMs = this.#context.clock.monotonic();
  }

  /** So many bytes of the plaintext another run would find stored. */
  get storedBytes(): number {
    return [...this.#noted.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /**
   * Resolves once the segment outlives a power cut. What cannot be written is not noted, and the put goes on.
   * @throws HoldfastError `Conflict`, code `put_fenced`.
   */
  async finished(firstChunk: number, plainBytes: number, segment: FinishedSegment): Promise<void> {
    const { engine, random, clock } = this.#context;
    const key = segmentKey(this.#journal.id, firstChunk);
    const ops = [resumeEntry(key, sealFinished(this.#keys.sealed, key, segment, random))];
    const now = clock.monotonic();
    const before = this.#begunMs;
    this.#noted.set(firstChunk, 0);
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
    if (written) this.#noted.set(firstChunk, plainBytes);
  }

  /**
   * Resolves once no other run takes any of it up. Before that, nothing of it may be deleted.
   * @throws what the engine throws; HoldfastError `Conflict`, code `put_fenced`.
   */
  async forget(): Promise<void> {
    if (this.#noted.size === 0) return;
    const ops = [resumeEntry(this.#journal.id, undefined)];
    const done = await this.#context.engine.batch(ops, this.#journal.conditions, { sync: true });
    if (!done) await this.#journal.assertHeld();
  }

  /** What is to be removed once the put is over. */
  get entries(): BatchOp[] {
    const { id } = this.#journal;
    const segments = [...this.#noted.keys()].map((firstChunk) => segmentKey(id, firstChunk));
    return segments.length > 0 ? [...segments, id].map((key) => resumeEntry(key, undefined)) : [];
  }

  #header(): BatchOp {
    const { keys, random, clock } = this.#context;
    const put = { ...this.#put, sinceMs: recordedTime(clock) };
    return resumeEntry(this.#journal.id, sealUnfinished(keys.wrap, this.#journal.id, put, random));
  }
}

export function interrupted(stored: number, total: number, cause: HoldfastError): HoldfastError {
  const share = Math.floor((100 * stored) / total);
  return new HoldfastError('Aborted', `the put was interrupted; ${share} % of it is stored`, {
    code: 'put_interrupted',
    hint: 'Put the same file under the same name again to go on from there. What is stored is kept for a while: see retention.unfinished_hours.',
    context: { stored, total },
    cause,
  });
}
