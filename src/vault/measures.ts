import type { HousekeepingMetrics } from '../telemetry/index.ts';
import type { Upkeep } from '../upkeep/status.ts';

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((all, count) => all + count, 0);

/** Shows what is left to be done as metrics. */
export function measure(metrics: HousekeepingMetrics, { backlog, repair, unreadable, chores }: Upkeep): void {
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
