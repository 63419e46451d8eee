import type { AbortOptions } from '../../core/abort.ts';
import { HoldfastError } from '../../core/errors.ts';
import { entryOf } from '../../core/maps.ts';
import type { BatchOp, Engine } from '../../engine/engine.ts';
import { KeyedMutex } from '../../engine/keyed-mutex.ts';
import { type CountContext, changeCount, countIn } from './shared-count.ts';

const EGRESS_TABLE = 'repair_egress';
/** Days that are kept: those with the latest names, for a clock that was ahead must not take the count of today with it. */
const MAX_DAYS = 8;
/** A worker counts so much at once, so that not every shard is a write; with a low cap a hundredth of it. */
const SLICE_BYTES = 16 * 1024 ** 2;
const DAY_MS = 86_400_000;

interface EgressOptions extends AbortOptions {
  /** It is read though the cap is reached. */
  readonly exempt: boolean;
}

/** What is read for repair from each provider on each day by UTC, of all workers that share an engine. */
export class Egress {
  readonly #context: CountContext;
  readonly #perDay: number;
  readonly #slice: number;
  readonly #onCounted: (provider: string, bytes: number) => void;
  readonly #turns = new KeyedMutex();
  /** Counted, and not used yet. */
  readonly #inHand = new Map<string, { day: string; bytes: number }>();
  #tidied: string | undefined;

  /** @param perDay from one provider. */
  constructor(context: CountContext, perDay: number, onCounted: (provider: string, bytes: number) => void) {
    this.#context = context;
    this.#perDay = perDay;
    this.#slice = Math.min(SLICE_BYTES, Math.ceil(perDay / 100));
    this.#onCounted = onCounted;
  }

  /**
   * Counts what is about to be read. A process that ends has counted at most a slice, and what it took back, more than it read.
   * @returns takes it back, for what was not read after all.
   * @throws HoldfastError `QuotaExceeded` (`egress_cap`): it is beyond the cap; nothing was counted. `Conflict`
   * (`pace_contended`); what the engine throws; `Aborted`.
   */
  async reserve(provider: string, bytes: number, options: EgressOptions): Promise<() => void> {
    const day = dayOf(this.#context.clock.now());
    await this.#turns.run(provider, () => this.#reserve(provider, day, bytes, options), options.signal);
    return () => {
      const its = this.#inHand.get(provider);
      if (its?.day === day) its.bytes += bytes;
    };
  }

  async #reserve(provider: string, day: string, bytes: number, options: EgressOptions): Promise<void> {
    const its = entryOf(this.#inHand, provider, () => ({ day, bytes: 0 }));
    if (its.day !== day) Object.assign(its, { day, bytes: 0 });
    const needed = Math.max(0, bytes - its.bytes);
    if (needed > 0) {
      let taken = 0;
      const take = (counted: number): number => {
        const room = Math.max(0, this.#perDay - counted);
        if (needed > room && !options.exempt) throw capReached(provider, day, counted, this.#perDay);
        taken = Math.max(needed, Math.min(this.#slice, room));
        return Math.min(Number.MAX_SAFE_INTEGER, counted + taken);
      };
      const key = `${day}/${provider}`;
      // Of what cannot be read the cap is taken to be reached: damage must not lift it.
      const how = { signal: options.signal, damaged: this.#perDay };
      const before = await changeCount(this.#context, { table: EGRESS_TABLE, key }, take, how);
      its.bytes += taken;
      this.#onCounted(provider, before + taken);
    }
    its.bytes -= bytes;
    await this.#tidy(day);
  }

  /** What cannot be tidied now is tidied another day. */
  async #tidy(day: string): Promise<void> {
    if (this.#tidied === day) return;
    this.#tidied = day;
    await dropOldDays(this.#context.engine, day).catch(() => {});
  }
}

/** What was read for repair on a day, by provider. @param nowMs in it. */
export async function egressOf(
  engine: Engine,
  nowMs: number,
  options: AbortOptions = {},
): Promise<ReadonlyMap<string, number>> {
  const day = dayOf(nowMs);
  const read = new Map<string, number>();
  const range = { ...options, prefix: `${day}/`, onDamaged: () => {} };
  for await (const [key, value] of engine.table(EGRESS_TABLE).entries(range)) {
    read.set(key.slice(day.length + 1), countIn(value) ?? 0);
  }
  return read;
}

async function dropOldDays(engine: Engine, today: string): Promise<void> {
  const days = new Map<string, BatchOp[]>([[today, []]]);
  const drop = (key: string): void => {
    const ops = entryOf(days, key.split('/', 1)[0]!, (): BatchOp[] => []);
    if (ops.length < MAX_DROPPED) ops.push({ table: EGRESS_TABLE, key, value: undefined });
  };
  for await (const [key] of engine.table(EGRESS_TABLE).entries({ onDamaged: drop })) drop(key);
  const others = [...days.keys()].filter((day) => day !== today).toSorted();
  for (const day of others.slice(0, Math.max(0, others.length - (MAX_DAYS - 1))))
    await engine.batch(days.get(day)!);
}

const MAX_DROPPED = 1024;

const FIRST_DAY = '1970-01-01';

/** By UTC. A clock that shows nonsense is at some day, too. */
const dayOf = (ms: number): string =>
  ms >= 0 && ms < LAST_MS ? new Date(ms).toISOString().slice(0, FIRST_DAY.length) : FIRST_DAY;

const LAST_MS = Date.UTC(9999, 11, 31);

function capReached(provider: string, day: string, counted: number, cap: number): HoldfastError {
  const untilMs = Date.parse(`${day}T00:00:00Z`) + DAY_MS;
  return new HoldfastError('QuotaExceeded', `${provider} has given as much for repair today as it may`, {
    code: 'egress_cap',
    status: 'temporary',
    provider,
    hint: 'It goes on tomorrow, by UTC. Raise repair.egress_per_day to read more in a day.',
    context: { counted, cap, untilMs },
  });
}
