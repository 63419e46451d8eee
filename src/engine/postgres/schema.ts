import { utf8Encode } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { type Mark, markIn, storeMoved } from '../movable.ts';
import type { Row, Session } from './session.ts';

/** The version that this program reads and writes; the database says which it has. */
const SCHEMA_VERSION = 1;

/**
 * Keys and values are bytes, so that no encoding or collation of the database decides their order, and values are kept
 * uncompressed, since most are sealed. `writers` tells what became of a write whose answer was lost.
 */
const tables = (schema: string): string => `
CREATE SCHEMA IF NOT EXISTS ${schema};
CREATE TABLE ${schema}.meta (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL, mark text);
CREATE TABLE ${schema}.entries (
  tab text COLLATE "C" NOT NULL,
  key bytea NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (tab, key)
);
ALTER TABLE ${schema}.entries ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE TABLE ${schema}.writers (
  id uuid PRIMARY KEY,
  seq bigint NOT NULL,
  applied boolean NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE ${schema}.owners (
  id text COLLATE "C" PRIMARY KEY,
  fence bigserial,
  until timestamptz NOT NULL
);
`;

/** Nobody but who moves the records writes to them then. */
const UNLESS_MOVED = (schema: string): string => `
  PERFORM pg_advisory_xact_lock_shared(hashtextextended('${schema}', 17));
  IF current_setting('holdfast.moving', true) IS DISTINCT FROM 'on'
    AND EXISTS (SELECT 1 FROM ${schema}.meta WHERE mark IS NOT NULL) THEN
    RAISE EXCEPTION 'the records were moved' USING ERRCODE = 'HF003';
  END IF;
`;

/** Not flushed, a write still outlives the process that made it, but perhaps not the server. */
const FLUSHED_IF_ASKED = `  IF NOT p_sync THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
`;

/**
 * A whole batch in one statement, so that no lock outlasts a client that stalls or dies. Entries that must hold a value
 * are locked while they are compared, and those that must be absent are made, if only until the end: another transaction
 * that makes one waits. Everything is locked in the order of the keys, so that two batches do not wait for each other.
 * Under read committed every statement in here sees what was committed before it began.
 */
const apply = (schema: string): string => `
CREATE FUNCTION ${schema}.apply(
  p_writer uuid, p_seq bigint, p_sync boolean,
  held_tab text[], held_key bytea[], held_value bytea[],
  new_tab text[], new_key bytea[], new_value bytea[],
  put_tab text[], put_key bytea[], put_value bytea[],
  del_tab text[], del_key bytea[]
) RETURNS boolean LANGUAGE plpgsql AS $apply$
DECLARE
  found_rows bigint;
BEGIN
${UNLESS_MOVED(schema)}${FLUSHED_IF_ASKED}  IF cardinality(held_key) + cardinality(put_key) + cardinality(del_key) > 1 THEN
    PERFORM 1 FROM ${schema}.entries e
      JOIN unnest(held_tab || put_tab || del_tab, held_key || put_key || del_key) AS l(t, k) ON e.tab = l.t AND e.key = l.k
      ORDER BY e.tab, e.key FOR UPDATE OF e;
  END IF;
  IF cardinality(held_key) > 0 THEN
    PERFORM 1 FROM ${schema}.entries e
      JOIN unnest(held_tab, held_key, held_value) AS h(t, k, v) ON e.tab = h.t AND e.key = h.k
      WHERE e.value = h.v ORDER BY e.tab, e.key FOR UPDATE OF e;
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows <> cardinality(held_key) THEN
      RETURN false;
    END IF;
  END IF;
  IF cardinality(new_key) > 0 AND EXISTS (
    SELECT 1 FROM ${schema}.entries e JOIN unnest(new_tab, new_key) AS n(t, k) ON e.tab = n.t AND e.key = n.k
  ) THEN
    RETURN false;
  END IF;
  INSERT INTO ${schema}.writers AS w (id, seq, applied) VALUES (p_writer, p_seq, true)
    ON CONFLICT (id) DO UPDATE SET seq = p_seq, applied = true, at = clock_timestamp() WHERE w.seq < p_seq;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this write was given up' USING ERRCODE = 'HF001';
  END IF;
  IF cardinality(new_key) + cardinality(put_key) > 0 THEN
    INSERT INTO ${schema}.entries AS e (tab, key, value)
      SELECT t, k, coalesce(v, '') FROM unnest(new_tab || put_tab, new_key || put_key, new_value || put_value) AS w(t, k, v)
      ORDER BY t, k
      ON CONFLICT (tab, key) DO UPDATE SET value = excluded.value
      WHERE (e.tab, e.key) NOT IN (SELECT t, k FROM unnest(new_tab, new_key) AS n(t, k));
    GET DIAGNOSTICS found_rows = ROW_COUNT;
    IF found_rows <> cardinality(new_key) + cardinality(put_key) THEN
      RAISE EXCEPTION 'an entry was made meanwhile' USING ERRCODE = 'HF002';
    END IF;
  END IF;
  IF cardinality(del_key) > 0 THEN
    DELETE FROM ${schema}.entries e USING unnest(del_tab, del_key) AS d(t, k) WHERE e.tab = d.t AND e.key = d.k;
  END IF;
  IF cardinality(new_key) > 0 THEN
    DELETE FROM ${schema}.entries e USING unnest(new_tab, new_key, new_value) AS n(t, k, v)
      WHERE e.tab = n.t AND e.key = n.k AND n.v IS NULL;
  END IF;
  RETURN true;
END $apply$;
`;

/** Says whether a write was applied. One that was not never will be, however late it arrives. */
const settle = (schema: string): string => `
CREATE FUNCTION ${schema}.settle(p_writer uuid, p_seq bigint) RETURNS boolean LANGUAGE plpgsql AS $settle$
DECLARE
  outcome boolean;
BEGIN
  INSERT INTO ${schema}.writers AS w (id, seq, applied) VALUES (p_writer, p_seq, false)
    ON CONFLICT (id) DO UPDATE SET seq = p_seq, applied = false, at = clock_timestamp() WHERE w.seq < p_seq;
  SELECT applied INTO outcome FROM ${schema}.writers WHERE id = p_writer AND seq = p_seq;
  RETURN outcome;
END $settle$;
`;

/** Waits for all batches that are under way; those that come later see the mark. */
const setMark = (schema: string): string => `
CREATE FUNCTION ${schema}.set_mark(p_mark text) RETURNS void LANGUAGE plpgsql AS $mark$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('${schema}', 17));
  UPDATE ${schema}.meta SET mark = p_mark;
END $mark$;
`;

/** Each raises the version by one, and is never changed once it was released. */
const MIGRATIONS: readonly ((schema: string) => string)[] = [
  (schema) => tables(schema) + apply(schema) + settle(schema) + setMark(schema),
];

/** There is no such schema, or no such table in it. */
const NOT_THERE = new Set(['3F000', '42P01']);

/**
 * Brings the schema up to this program's version. Who may not change it can use it as it is, where it is up to date.
 * @throws HoldfastError `Unavailable`, code `engine_schema_newer` or `engine_moved`.
 */
export async function migrateSchema(
  session: Session,
  { schema, moving }: { readonly schema: string; readonly moving?: boolean | undefined },
): Promise<void> {
  const found = await stateOf(session, schema);
  if (found.mark !== undefined && moving !== true) throw storeMoved(found.mark);
  if (found.version === SCHEMA_VERSION) return;
  await session.query('BEGIN');
  try {
    // Others that begin at the same time wait here, and find it done.
    await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 16))', [`holdfast ${schema}`]);
    await session.query('SAVEPOINT looking');
    const { version } = await stateOf(session, schema);
    await session.query('ROLLBACK TO SAVEPOINT looking');
    for (const [at, migration] of MIGRATIONS.entries()) {
      if (at < version) continue;
      for (const statement of statementsOf(migration(schema))) await session.query(statement);
    }
    await session.query(
      `INSERT INTO ${schema}.meta (one, version) VALUES (true, ${SCHEMA_VERSION}) ON CONFLICT (one) DO UPDATE SET version = ${SCHEMA_VERSION}`,
    );
    await session.query('COMMIT');
  } catch (error) {
    await session.query('ROLLBACK').catch(() => {});
    throw error;
  }
}

/** Version 0: there is none yet. */
async function stateOf(
  session: Session,
  schema: string,
): Promise<{ readonly version: number; readonly mark: Mark | undefined }> {
  let row: Row | undefined;
  try {
    [row] = await session.query(`SELECT * FROM ${schema}.meta`);
  } catch (error) {
    if (!NOT_THERE.has((error as { code?: string }).code ?? '')) throw error;
  }
  const version = Number(row?.version ?? 0);
  const mark = typeof row?.mark === 'string' ? markIn(utf8Encode(row.mark)) : undefined;
  if (version <= SCHEMA_VERSION) return { version, mark };
  const message = `the database has version ${version} of the schema, and this program knows up to ${SCHEMA_VERSION}`;
  throw new HoldfastError('Unavailable', message, {
    code: 'engine_schema_newer',
    status: 'permanent',
    hint: 'Use the version of Holdfast that the other processes of this vault use, or a later one.',
  });
}

/** A function's body holds semicolons of its own; everything else ends with one at the end of a line. */
const statementsOf = (text: string): string[] =>
  text
    .split(/;\n(?=CREATE|ALTER|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
