import { sameValue } from '../check.ts';
import type { BatchOp, Precondition } from '../engine.ts';
import { decodeRecord, encodeRecord, recordKey } from '../record.ts';
import { isCollision, isReadOnly, outcomeUnknown, postgresFailure, stateOf } from './failure.ts';
import { MAX_COLLISIONS, type SessionPool, type Slot } from './pool.ts';
import { isError, type Parameter, type Session, SessionOver } from './session.ts';

/** What one call of the function `apply` does. */
export interface PreparedWrite {
  readonly parameters: readonly Parameter[];
  readonly sync: boolean;
  /** Places whose values are compared. */
  readonly held: readonly Place[];
}

interface Place {
  readonly table: string;
  readonly key: string;
}

interface Entry extends Place {
  readonly value: Uint8Array | undefined;
}

/** Copies everything. @returns undefined where two preconditions contradict each other. */
export function prepareWrite(
  ops: readonly BatchOp[],
  preconditions: readonly Precondition[],
  sync: boolean,
): PreparedWrite | undefined {
  const wanted = new Map<string, Precondition>();
  for (const condition of preconditions) {
    const place = nameOf(condition);
    const other = wanted.get(place);
    if (other !== undefined && !sameValue(other.expected, condition.expected)) return undefined;
    wanted.set(place, condition);
  }
  const held: Entry[] = [];
  const made = new Map<string, Entry>();
  for (const [place, { table, key, expected }] of wanted) {
    if (expected === undefined) made.set(place, { table, key, value: undefined });
    else held.push({ table, key, value: expected });
  }
  const puts: Entry[] = [];
  const deletes: Entry[] = [];
  for (const op of ops) {
    const place = nameOf(op);
    if (made.has(place)) made.set(place, op);
    else (op.value === undefined ? deletes : puts).push(op);
  }
  const parameters = [
    ...columns(held, true),
    ...columns([...made.values()], true),
    ...columns(puts, true),
    ...columns(deletes, false),
  ];
  return { parameters, sync, held };
}

const nameOf = ({ table, key }: Place): string => `${table}:${key}`;

/** Tables, keys and, where wanted, values, as literals of arrays. */
function columns(entries: readonly Entry[], values: boolean): Parameter[] {
  const tables = entries.map(({ table }) => table);
  const keys = entries.map(({ key }) => literal(Buffer.from(key)));
  const its = [`{${tables.map((name) => `"${name}"`)}}`, `{${keys}}`];
  if (!values) return its;
  const records = entries.map(({ table, key, value }) =>
    value === undefined ? 'NULL' : literal(encodeRecord(recordKey(table, key), value)),
  );
  return [...its, `{${records}}`];
}

/** Bytes within the literal of an array. */
const literal = (bytes: Uint8Array): string =>
  `"\\\\x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')}"`;

const applyStatement = (schema: string): string =>
  `SELECT ${schema}.apply($1::uuid, $2::bigint, $3::boolean, $4::text[], $5::bytea[], $6::bytea[], $7::text[], $8::bytea[], $9::bytea[], $10::text[], $11::bytea[], $12::bytea[], $13::text[], $14::bytea[]) AS applied`;

/**
 * Applies a batch once. Where the connection is lost under it, the database is asked what became of it, and that answer
 * counts: what was not applied by then never will be, and is tried again.
 * @returns false when a precondition did not hold.
 * @throws HoldfastError `Unavailable`, code `engine_outcome_unknown`, when nobody could be asked in time.
 */
export async function applyWrite(
  pool: SessionPool,
  slot: Slot,
  deadline: number,
  write: PreparedWrite,
): Promise<boolean> {
  const { schema } = pool.options;
  for (let attempt = 0; ; attempt++) {
    const session = await pool.sessionOf(slot, deadline);
    const seq = ++slot.seq;
    try {
      const parameters = [slot.writer, seq, write.sync, ...write.parameters];
      const [row] = await session.query(applyStatement(schema), parameters);
      if (row?.applied === true) return true;
      break;
    } catch (error) {
      if (stateOf(error) === MADE_MEANWHILE) return false;
      if (isReadOnly(error)) session.destroy();
      else if (isError(error)) {
        if (!isCollision(error) || attempt >= MAX_COLLISIONS) throw postgresFailure(error);
      } else {
        session.destroy();
        if (!(error instanceof SessionOver) && (await wasApplied(pool, slot, deadline, seq, error)))
          return true;
      }
      await pool.pause(attempt, deadline, error);
    }
  }
  await pool.ask(slot, deadline, (session) => refuseDamaged(session, schema, write.held));
  return false;
}

/** SQLSTATE of the function: an entry that had to be absent was made while it ran. */
const MADE_MEANWHILE = 'HF002';

async function wasApplied(
  pool: SessionPool,
  slot: Slot,
  deadline: number,
  seq: number,
  lost: unknown,
): Promise<boolean> {
  const { schema } = pool.options;
  try {
    const [row] = await pool.ask(slot, deadline, (session) =>
      session.query(`SELECT ${schema}.settle($1::uuid, $2::bigint) AS applied`, [slot.writer, seq]),
    );
    return row?.applied === true;
  } catch {
    throw outcomeUnknown(lost);
  }
}

/** Looked at only where something did not hold: a record that rotted is told as such. */
async function refuseDamaged(session: Session, schema: string, held: readonly Place[]): Promise<void> {
  if (held.length === 0) return;
  const [tables, keys] = columns(
    held.map((place) => ({ ...place, value: undefined })),
    false,
  );
  const rows = await session.query(
    `SELECT e.tab, e.key, e.value FROM ${schema}.entries e JOIN unnest($1::text[], $2::bytea[]) AS h(t, k) ON e.tab = h.t AND e.key = h.k`,
    [tables!, keys!],
  );
  for (const { tab, key, value } of rows)
    decodeRecord(recordKey(tab as string, Buffer.from(key as Uint8Array).toString()), value as Uint8Array);
}
