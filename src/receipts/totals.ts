import { compareUtf8 } from '../core/bytes.ts';
import { entryOf } from '../core/maps.ts';
import { IdSet, type IdTable } from './log/ids.ts';
import type { Counted, ReadAck } from './records/records.ts';
import type { EpochTotals, ProviderTotals } from './records/root.ts';

/** Below one in so many reads that are signed, a provider's are not credited. */
const READS_TO_ONE_SIGNED = 10;

/** A sum that no record could hold stays at what one can: nobody who signs a cost keeps an hour from its root. */
const plus = (a: number, b: number): number => Math.min(a + b, Number.MAX_SAFE_INTEGER);

const SUMS = ['reads', 'signed', 'bytes', 'signedBytes', 'executions', 'cpuUs'] as const;

interface Tally {
  reads: number;
  signed: number;
  readonly readers: IdSet;
  bytes: number;
  signedBytes: number;
  executions: number;
  cpuUs: number;
}

/** What some records come to, as another thread can be given it. */
export interface Tallied {
  readonly count: number;
  readonly denied: number;
  readonly providers: readonly (readonly [string, Omit<Tally, 'readers'>, readers: readonly IdTable[]])[];
}

/** What an epoch's records come to, in memory that grows with providers and readers. */
export class Totals {
  readonly #providers = new Map<string, Tally>();
  #count = 0;
  #denied = 0;

  add(receipt: Counted): void {
    this.#count++;
    if (receipt.kind === 'denials') this.#denied = plus(this.#denied, receipt.reads);
    else if (receipt.kind === 'execution') {
      const tally = this.#of(receipt.provider);
      tally.executions++;
      tally.cpuUs = plus(tally.cpuUs, receipt.cpuUs);
    } else if (receipt.allowed) this.#read(receipt);
    else this.#denied = plus(this.#denied, 1);
  }

  /** So far. The tables of the readers are the totals' own. */
  tallied(): Tallied {
    const providers = [...this.#providers].map(
      ([provider, { readers, ...sums }]) => [provider, sums, readers.tables] as const,
    );
    return { count: this.#count, denied: this.#denied, providers };
  }

  /** Adds what other records come to. */
  join({ count, denied, providers }: Tallied): void {
    this.#count += count;
    this.#denied = plus(this.#denied, denied);
    for (const [provider, sums, readers] of providers) {
      const tally = this.#of(provider);
      for (const key of SUMS) tally[key] = plus(tally[key], sums[key]);
      tally.readers.join(readers);
    }
  }

  totals(): EpochTotals {
    const providers = [...this.#providers]
      .sort(([a], [b]) => compareUtf8(a, b))
      .map(([provider, tally]): ProviderTotals => {
        const few = READS_TO_ONE_SIGNED * tally.signed < tally.reads;
        const readers = tally.readers.size;
        const totals = { provider, ...tally, readers, credited: few ? 0 : tally.signedBytes };
        return few ? { ...totals, reason: 'few_signed' } : totals;
      });
    const sum = (key: 'bytes' | 'credited'): number => providers.reduce((n, one) => plus(n, one[key]), 0);
    return {
      count: this.#count,
      bytes: sum('bytes'),
      credited: sum('credited'),
      denied: this.#denied,
      providers,
    };
  }

  #read({ provider, bytes, pk }: Pick<ReadAck, 'provider' | 'bytes' | 'pk'>): void {
    const tally = this.#of(provider);
    tally.reads++;
    tally.bytes = plus(tally.bytes, bytes);
    if (pk === undefined) return;
    tally.signed++;
    tally.signedBytes = plus(tally.signedBytes, bytes);
    tally.readers.add(pk);
  }

  #of(provider: string): Tally {
    return entryOf(this.#providers, provider, () => ({
      ...{ reads: 0, signed: 0, readers: new IdSet(16), bytes: 0, signedBytes: 0, executions: 0, cpuUs: 0 },
    }));
  }
}
