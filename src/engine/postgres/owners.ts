import { toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { RandomBytes } from '../../core/random.ts';
import { engineClosed } from '../check.ts';
import { type OwnerStanding, type Owners, thisHost } from '../level/owner-locks.ts';
import type { Parameter, Row } from './session.ts';

export interface OwnerLeaseOptions {
  ask(
    statement: (schema: string) => string,
    parameters?: readonly Parameter[],
    waitMs?: number,
  ): Promise<readonly Row[]>;
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** `db-<run>-<fence>`: the fence is the database's own count of owners, so no name is given out twice. */
const OWNER = /^db-[0-9a-f]{16}-\d{1,19}$/;
/** A database that is away keeps nobody from ending. */
const CLOSE_MS = 2_000;
/** Renewals in the time of a lease. */
const RENEWALS = 3;

interface Held {
  readonly name: string;
  /** When the lease ends at the earliest, by this machine's monotonic clock. */
  until: number;
}

/**
 * Each owner has a row with the time until which it is taken for alive, by the database's clock, and renews it. Whoever
 * finds it over takes the row away, and from then on no renewal brings it back: the owner learns that it is dead and
 * goes on under another name. What it began under the first one is fenced by its journals and leases.
 */
export class OwnerLeases implements Owners {
  readonly #options: OwnerLeaseOptions;
  #held: Held | undefined;
  #taking: Promise<Held> | undefined;
  #cancel: () => void = () => {};
  #closed = false;

  constructor(options: OwnerLeaseOptions) {
    this.#options = options;
  }

  async current(): Promise<string> {
    if (this.#closed) throw engineClosed();
    if (this.#held !== undefined && this.#options.clock.monotonic() < this.#held.until)
      return this.#held.name;
    this.#taking ??= this.#renewOrTake().finally(() => {
      this.#taking = undefined;
    });
    return (await this.#taking).name;
  }

  async standing(owner: string): Promise<OwnerStanding> {
    if (!OWNER.test(owner)) return 'unknown';
    await this.#options.ask(
      (schema) => `DELETE FROM ${schema}.owners WHERE id = $1 AND until <= clock_timestamp()`,
      [owner],
    );
    const rows = await this.#options.ask(
      (schema) => `SELECT 1 AS one FROM ${schema}.owners WHERE id = $1`,
      [owner],
    );
    return rows.length > 0 ? 'alive' : 'dead';
  }

  /** Whether anybody is at work. */
  async anyAlive(): Promise<boolean> {
    const rows = await this.#options.ask(
      (schema) => `SELECT 1 AS one FROM ${schema}.owners WHERE until > clock_timestamp() LIMIT 1`,
    );
    return rows.length > 0;
  }

  host(): Promise<string> {
    return thisHost();
  }

  /** A row that is not there tells of the end too. */
  async tidy(): Promise<void> {
    await this.#options.ask(
      (schema) => `DELETE FROM ${schema}.owners WHERE until < clock_timestamp() - interval '1 day'`,
    );
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancel();
    const held = (await this.#taking?.catch(() => undefined)) ?? this.#held;
    if (held === undefined) return;
    const remove = (schema: string): string => `DELETE FROM ${schema}.owners WHERE id = $1`;
    // One that stays ends with its lease.
    await this.#options.ask(remove, [held.name], CLOSE_MS).catch(() => {});
  }

  async #renewOrTake(): Promise<Held> {
    if (this.#held !== undefined && (await this.#renew(this.#held))) return this.#held;
    const { ask, leaseMs, clock, random } = this.#options;
    const began = clock.monotonic();
    const run = toHex(random(8));
    const [row] = await ask(
      (schema) => `INSERT INTO ${schema}.owners (id, until)
        SELECT 'db-' || $1::text || '-' || fence, clock_timestamp() + $2::integer * interval '1 ms'
        FROM nextval(pg_get_serial_sequence('${schema}.owners', 'fence')) AS fence RETURNING id`,
      [run, leaseMs],
    );
    const held = { name: String(row!.id), until: began + leaseMs };
    this.#held = held;
    this.#renewLater();
    return held;
  }

  /** False: somebody has taken the row away. */
  async #renew(held: Held): Promise<boolean> {
    const { ask, leaseMs, clock } = this.#options;
    const began = clock.monotonic();
    const rows = await ask(
      (schema) => `UPDATE ${schema}.owners SET until = clock_timestamp() + $2::integer * interval '1 ms'
        WHERE id = $1 RETURNING id`,
      [held.name, leaseMs],
    );
    if (rows.length === 0) return false;
    held.until = began + leaseMs;
    return true;
  }

  #renewLater(): void {
    this.#cancel();
    if (this.#closed) return;
    const { clock, leaseMs } = this.#options;
    const renew = async (): Promise<void> => {
      const held = this.#held;
      // A database that does not answer is asked again; in the end the lease is over, and the next to ask takes another.
      const stands = held === undefined || (await this.#renew(held).catch(() => true));
      if (!stands && this.#held === held) this.#held = undefined;
      if (this.#held !== undefined) this.#renewLater();
    };
    this.#cancel = clock.timer(leaseMs / RENEWALS, () => void renew(), { idle: true });
  }
}
