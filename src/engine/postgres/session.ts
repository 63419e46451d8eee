import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import { withDeadline } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';

export type Row = Readonly<Record<string, unknown>>;
/** Bytes go as they are, arrays as literals. */
export type Parameter = string | number | boolean | Uint8Array;

/** One connection, of which one at a time has the use. */
export interface Session {
  /** True: it is of no more use. */
  readonly over: boolean;
  /** Whom it leads to. */
  readonly server: ServerHistory;
  /** @throws what the driver throws; `Timeout` after which the connection is gone. */
  query(text: string, parameters?: readonly Parameter[]): Promise<readonly Row[]>;
  destroy(): void;
}

/** What a server has been through: another line, or an earlier place on it, and what was there before may be gone. */
export interface ServerHistory {
  /** Of the database cluster, and of its latest promotion or recovery; undefined: it does not tell. */
  readonly line: string | undefined;
  /** How far its log had come, in bytes. */
  readonly position: number;
}

export interface SessionOptions {
  readonly url: string;
  readonly clock: Clock;
  /** The server ends a statement after this long; the connection is given up a little later. */
  readonly statementMs: number;
  readonly connectMs: number;
  readonly moving?: boolean | undefined;
  readonly onConnect: (host: string) => void;
}

/** What is used of the package `postgres`. */
interface Sql {
  unsafe(text: string, parameters: readonly unknown[], options: { prepare: boolean }): Promise<Row[]>;
  end(options: { timeout: number }): Promise<void>;
}
interface DriverOptions {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path: string | false;
}
type Driver = (url: string, options: object) => Sql;

/** A statement that the server has not ended by then never comes back: the connection is dead. */
const GRACE_MS = 2_000;

/** Nothing was sent. */
export class SessionOver extends Error {}

function loadDriver(): Driver {
  try {
    return createRequire(import.meta.url)('postgres') as Driver;
  } catch (error) {
    throw new HoldfastError('Unavailable', 'the package "postgres" is not installed', {
      code: 'engine_unsupported',
      status: 'permanent',
      hint: 'Run `npm install postgres@3.4.9` beside Holdfast, or set engine.default to another engine.',
      cause: error,
    });
  }
}

/**
 * Connects, and has the server agree to how this engine works.
 * @param turn which of several hosts is tried.
 * @throws HoldfastError `Unavailable` (`engine_read_only`: a standby), `ConfigInvalid`; else what the driver throws.
 */
export async function openSession(options: SessionOptions, turn: number): Promise<Session> {
  const session = new PostgresSession(options, turn);
  try {
    await withDeadline(options.clock, options.connectMs, 'connecting to PostgreSQL', () =>
      session.begin(options.statementMs, options.moving === true),
    );
  } catch (error) {
    session.destroy();
    throw error;
  }
  return session;
}

class PostgresSession implements Session {
  readonly #options: SessionOptions;
  readonly #sql: Sql;
  #socket: Socket | undefined;
  over = false;
  server: ServerHistory = { line: undefined, position: 0 };

  constructor(options: SessionOptions, turn: number) {
    this.#options = options;
    this.#sql = driven(loadDriver(), options.url, {
      max: 1,
      prepare: true,
      fetch_types: false,
      idle_timeout: 0,
      max_lifetime: 0,
      connect_timeout: Math.ceil(options.connectMs / 1000),
      connection: { application_name: 'holdfast' },
      onnotice: () => {},
      onclose: () => {
        this.over = true;
      },
      socket: (its: DriverOptions) => this.#connect(its, turn),
    });
  }

  async begin(statementMs: number, moving: boolean): Promise<void> {
    const settings = {
      statement_timeout: String(statementMs),
      idle_in_transaction_session_timeout: String(statementMs),
      default_transaction_isolation: 'read committed',
      client_encoding: 'UTF8',
      'holdfast.moving': moving ? 'on' : 'off',
      // Everything is asked for by its key. A plan made while a table was small must not outlive that.
      enable_seqscan: 'off',
      enable_hashjoin: 'off',
      enable_mergejoin: 'off',
    };
    const set = Object.entries(settings).map(([name, value]) => `set_config('${name}', '${value}', false)`);
    const [row] = await this.query(`SELECT pg_is_in_recovery() AS standby, ${set.join(', ')}`);
    if (row?.standby === false) {
      this.server = await this.#history();
      return;
    }
    throw new HoldfastError('Unavailable', 'the database is a standby, which takes no writes', {
      code: 'engine_read_only',
      hint: 'Name the primary in the URL, or all hosts, separated by commas.',
    });
  }

  /** Databases that only speak the protocol know nothing of this. */
  async #history(): Promise<ServerHistory> {
    try {
      const [row] = await this.query(
        `SELECT system_identifier || '/' || left(pg_walfile_name(lsn), 8) AS line, (lsn - '0/0')::text AS position
          FROM pg_control_system(), pg_current_wal_lsn() AS lsn`,
      );
      return { line: row?.line as string, position: Number(row?.position) };
    } catch (error) {
      if (!isError(error)) throw error;
      return { line: undefined, position: 0 };
    }
  }

  async query(text: string, parameters: readonly Parameter[] = []): Promise<readonly Row[]> {
    const { clock, statementMs } = this.#options;
    try {
      return await withDeadline(clock, statementMs + GRACE_MS, 'a statement', () =>
        this.#sql.unsafe(text, parameters, { prepare: parameters.length > 0 }),
      );
    } catch (error) {
      if (!isError(error)) this.destroy();
      throw error;
    }
  }

  destroy(): void {
    this.over = true;
    this.#socket?.destroy();
    void this.#sql.end({ timeout: 0 }).catch(() => {});
  }

  /** The driver connects anew by itself; that connection would not have agreed to anything. */
  #connect({ host, port, path }: DriverOptions, turn: number): Socket {
    if (this.over || this.#socket !== undefined) throw new SessionOver('the connection is over');
    const at = turn % host.length;
    const [its, itsPort] = [host[at]!, port[at]!];
    this.#options.onConnect(path || `${its}:${itsPort}`);
    this.#socket = path ? connect(path) : connect({ host: its, port: itsPort, noDelay: true });
    // By its name the certificate is checked.
    return Object.assign(this.#socket, { host: its, port: itsPort });
  }
}

/** What the driver throws for a URL holds the URL. */
function driven(driver: Driver, url: string, options: object): Sql {
  try {
    if (/^postgres(?:ql)?:\/\/./.test(url)) return driver(url, options);
  } catch {
    // told below
  }
  throw new HoldfastError('ConfigInvalid', 'the URL of the database cannot be understood', {
    code: 'engine_location',
    hint: 'It looks like postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full.',
  });
}

/** The server refused the statement and goes on: nothing of it was done. */
export const isError = (error: unknown): error is { readonly code: string; readonly message: string } =>
  error instanceof Error && 'severity' in error && error.severity === 'ERROR';
