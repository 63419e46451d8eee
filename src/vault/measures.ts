import { withDeadline } from '../core/clock.ts';
import type { Exposition } from '../http/control.ts';
import { CHECK_RESULTS, type HousekeepingMetrics, type Telemetry } from '../telemetry/index.ts';
import type { AuditResult } from '../upkeep/audit/audit.ts';
import type { ScrubResult } from '../upkeep/scrub/scrub.ts';
import { type Upkeep, workLeft } from '../upkeep/status.ts';
import type { ComposedVault } from './assemble.ts';

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

type WorkLeft = Pick<Upkeep, 'backlog' | 'repair' | 'unreadable' | 'chores'>;

/** Shows what is left to be done as metrics. */
export function measure(
  metrics: HousekeepingMetrics,
  { backlog, repair, unreadable, chores }: WorkLeft,
): void {
  const { journals, retired, trash, slotsDue, namesDue } = backlog;
  const states: Record<string, number> = { queued: 0, deleting: 0, unsettled: 0 };
  for (const its of Object.values(trash)) {
    for (const [state, count] of Object.entries(its.states)) states[state] = (states[state] ?? 0) + count;
  }
  metrics.backlog('journals', sum(journals));
  metrics.backlog('journals_dead', journals.dead);
  metrics.backlog('retired_due', retired.due + retired.waiting);
  metrics.backlog('retired_later', retired.later);
  for (const [state, count] of Object.entries(states)) metrics.backlog(`trash_${state}`, count);
  metrics.backlog('slots_due', sum(slotsDue));
  metrics.backlog('names_due', namesDue);
  metrics.backlog('repairs_put_off', repair.putOff);
  for (const { table, records } of unreadable) metrics.unreadable(table, records);
  for (const [chore, { doneMs }] of Object.entries(chores)) {
    if (doneMs !== undefined) metrics.choreDone(chore, doneMs / 1000);
  }
}

/** Shows what a scrub found. */
export function measureScrub(metrics: HousekeepingMetrics, { providers, nodes, unheard }: ScrubResult): void {
  let right = 0;
  const wrong = { missing: nodes.missing, corrupt: nodes.corrupt };
  for (const { packs, missing, corrupt } of providers) {
    right += packs - missing - corrupt;
    wrong.missing += missing;
    wrong.corrupt += corrupt;
  }
  metrics.scrubbed('right', right);
  metrics.scrubbed('missing', wrong.missing);
  metrics.scrubbed('corrupt', wrong.corrupt);
  metrics.scrubbed('unanswered', unheard);
}

/** Shows what an audit found. */
export function measureAudit(metrics: HousekeepingMetrics, { providers }: AuditResult): void {
  for (const result of CHECK_RESULTS)
    metrics.audited(
      result,
      providers.reduce((total, its) => total + its[result], 0),
    );
}

/** However often somebody looks, the state is not read more often than this. */
const AGAIN_MS = 10_000;
/** Who looks waits no longer than this: then what was measured before is shown. */
const WAIT_MS = 2_000;
/** Another process may hold the state for long. */
const READ_MS = 60_000;
const WHAT = 'reading what is left to do';

/**
 * The metrics of a program that stays and does no chores itself: what there is to do is read from the state when somebody
 * looks, and how chores went that other processes did.
 */
export function withWorkLeft(composed: ComposedVault, telemetry: Telemetry): Exposition {
  const { config, context, leases, log } = composed;
  const { clock } = context;
  const keepMs = config.retention.unfinishedHours * 3_600_000;
  const damaged = new Set<string>();
  const failures = new Map<string, number>();
  let readMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;
  const read = async (signal: AbortSignal): Promise<void> => {
    const left = await workLeft(context, leases, keepMs, { signal });
    measure(telemetry.housekeeping, left);
    const unreadable = new Set(left.unreadable.map(({ table }) => table));
    for (const table of damaged) if (!unreadable.has(table)) telemetry.housekeeping.unreadable(table, 0);
    for (const table of unreadable) damaged.add(table);
    for (const [chore, { failures: now }] of Object.entries(left.chores)) {
      // The log counts from when a chore was last done; a counter only rises.
      const before = failures.get(chore) ?? now;
      telemetry.housekeeping.choreFailed(chore, now < before ? now : now - before);
      failures.set(chore, now);
    }
  };
  const begin = (): Promise<void> => {
    readMs = clock.monotonic();
    return withDeadline(clock, READ_MS, WHAT, read)
      .catch((error: unknown) => log('warn', 'metrics_not_measured', { error: String(error) }))
      .finally(() => {
        reading = undefined;
      });
  };
  return {
    contentType: telemetry.contentType,
    async renderMetrics() {
      if (reading === undefined && clock.monotonic() - readMs >= AGAIN_MS) reading = begin();
      const current = reading;
      if (current !== undefined) await withDeadline(clock, WAIT_MS, WHAT, () => current).catch(() => {});
      return telemetry.renderMetrics();
    },
  };
}
