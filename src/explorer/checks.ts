import type { AbortOptions } from '../core/abort.ts';
import { readChoreLog } from '../records/chore-log.ts';
import type { RecordsContext } from '../records/context.ts';
import { damagedSegments } from '../records/damage.ts';
import { backoffs, type RepairBackoff } from '../records/repair-backoff.ts';
import { pastAudits } from '../upkeep/audit/history.ts';
import {
  noCounts,
  type ScrubCounts,
  type ScrubState,
  type Subset,
  scrubStates,
} from '../upkeep/scrub/state.ts';
import type { Checks, DamageRow, ScrubRow } from './source.ts';

/** Rows of each kind that are told. */
const MAX_ROWS = 200;
/** Records that are looked at for them. */
const MAX_LOOKED_AT = 20_000;

/** What was checked and found, and what waits to be repaired: by the records alone. */
export async function checksOf(context: RecordsContext, options: AbortOptions): Promise<Checks> {
  const { engine } = context;
  const scrubs: ScrubRow[] = [];
  for await (const { subset, state } of scrubStates(engine, options)) scrubs.push(scrubRow(subset, state));
  const latest = (row: ScrubRow): number => row.finishedMs ?? Number.POSITIVE_INFINITY;
  const { chores, providers } = await readChoreLog(context, options);
  return {
    scrubs: scrubs.sort((a, b) => latest(b) - latest(a) || b.startedMs - a.startedMs).slice(0, MAX_ROWS),
    audits: await pastAudits(context, options),
    damage: await damageRows(context, options),
    waiting: await waitingRows(context, options),
    chores: Object.fromEntries(chores),
    failing: Object.fromEntries(providers),
  };
}

function scrubRow({ part, of }: Subset, state: ScrubState): ScrubRow {
  const { startedMs, finishedMs, manifests, segments, nodes, providers, unread, unnoted } = state;
  const sum: ScrubCounts = noCounts();
  for (const its of providers.values()) {
    for (const key of Object.keys(sum) as (keyof ScrubCounts)[]) sum[key] += its[key];
  }
  const { missing, corrupt } = nodes;
  return {
    ...{ part, of, startedMs, finishedMs, manifests, segments },
    packs: sum.packs,
    bytes: sum.bytes,
    missing: sum.missing + missing,
    corrupt: sum.corrupt + corrupt,
    rotten: sum.rotten,
    unheard: sum.unheard,
    unread: unread.count,
    unnoted,
  };
}

/** The first that were found first. */
async function damageRows(
  context: RecordsContext,
  options: AbortOptions,
): Promise<{ readonly rows: readonly DamageRow[]; readonly more: boolean }> {
  const rows: DamageRow[] = [];
  let more = false;
  for await (const { notes } of damagedSegments(context, options)) {
    for (const { manifest, segment, provider, problem, shards, foundBy, sinceMs } of notes) {
      rows.push({ manifest, segment, provider, problem, shards: shards?.length, foundBy, sinceMs });
    }
    if (rows.length >= MAX_LOOKED_AT) {
      more = true;
      break;
    }
  }
  rows.sort((a, b) => a.sinceMs - b.sinceMs);
  return { rows: rows.slice(0, MAX_ROWS), more: more || rows.length > MAX_ROWS };
}

/** The first that is tried again first. */
async function waitingRows(
  context: RecordsContext,
  options: AbortOptions,
): Promise<{ readonly rows: readonly RepairBackoff[]; readonly more: boolean }> {
  const rows: RepairBackoff[] = [];
  let more = false;
  for await (const one of backoffs(context, options)) {
    if (rows.length === MAX_LOOKED_AT) {
      more = true;
      break;
    }
    rows.push(one);
  }
  rows.sort((a, b) => a.nextMs - b.nextMs);
  return { rows: rows.slice(0, MAX_ROWS), more: more || rows.length > MAX_ROWS };
}
