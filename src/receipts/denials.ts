import type { Clock } from '../core/clock.ts';
import type { ReceiptLog } from './log/log.ts';
import { type Denials, encodeReceipt } from './records/records.ts';

interface DenialOptions {
  readonly clock: Clock;
  readonly gateway: Uint8Array;
  /** So many are written down one by one. */
  readonly perSecond: number;
  readonly log: Pick<ReceiptLog, 'append'>;
}

/** As often the counts are written down; a crash loses no more. */
const FLUSH_MS = 10_000;
/** Reasons are a program's, not a client's: there are a few. */
const MAX_REASONS = 64;

type Count = Omit<Denials, 'kind' | 'gateway' | 'reason'>;

/** Counts denied reads beyond a rate, so that whoever is denied cannot fill the disk. */
export class DenialCounter {
  readonly #options: DenialOptions;
  readonly #counts = new Map<string, Count>();
  /** Single records that may be written now. */
  #tokens: number;
  #filledMs: number;
  #cancel: (() => void) | undefined;
  /** One after the other: who ends waits for what is being written down. */
  #flushing: Promise<void> = Promise.resolve();

  constructor(options: DenialOptions) {
    this.#options = options;
    this.#tokens = options.perSecond;
    this.#filledMs = options.clock.monotonic();
  }

  /** Whether this one is only counted. @param ts milliseconds since the Unix epoch. */
  counts(reason: string, ts: number): boolean {
    if (this.#takeToken()) return false;
    const count = this.#counts.get(reason);
    if (count === undefined && this.#counts.size >= MAX_REASONS) return true;
    const { reads, from, to } = count ?? { reads: 0, from: ts, to: ts };
    this.#counts.set(reason, { reads: reads + 1, from: Math.min(from, ts), to: Math.max(to, ts) });
    this.#cancel ??= this.#options.clock.timer(FLUSH_MS, () => void this.flush(), { idle: true });
    return true;
  }

  /** Writes down what was counted; what cannot be written is counted on. Never rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.then(() => this.#writeCounts());
    return this.#flushing;
  }

  async #writeCounts(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    const { gateway, log } = this.#options;
    const counted = [...this.#counts];
    this.#counts.clear();
    for (const [reason, count] of counted) {
      try {
        const denials: Denials = { kind: 'denials', gateway, reason, ...count };
        await log.append(denials, encodeReceipt(denials));
      } catch {
        const since = this.#counts.get(reason);
        const reads = count.reads + (since?.reads ?? 0);
        this.#counts.set(reason, { reads, from: count.from, to: since?.to ?? count.to });
      }
    }
  }

  #takeToken(): boolean {
    const { clock, perSecond } = this.#options;
    const now = clock.monotonic();
    this.#tokens = Math.min(perSecond, this.#tokens + ((now - this.#filledMs) / 1000) * perSecond);
    this.#filledMs = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
