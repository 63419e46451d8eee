import type { RepairEntry } from '../../upkeep/repair/repair-log.ts';
import { repairLogOf } from '../../vault/repair.ts';
import { configOf, noteWarnings } from '../config-of.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { bytes, isoTime, table } from '../format.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { collected } from '../with-vault.ts';

interface HistoryFlags extends ConfigFlags {
  readonly limit: number;
}

/** Reads the log and nothing else: it needs no key, and disturbs nobody who works on the state. */
export default async function repairHistory(this: CliContext, flags: HistoryFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    noteWarnings(config, io);
    const log = repairLogOf(config, () => {});
    const found = await collected(log.history({ limit: flags.limit + 1, signal: io.signal }));
    const more = found.length > flags.limit;
    if (more) found.pop();
    output(io, flags.json, found, () =>
      found.length === 0 ? 'Nothing was repaired of late.' : describe(found),
    );
    if (more) note(io, `There are more: --limit says how many of the newest are listed, now ${flags.limit}.`);
    return undefined;
  });
}

const describe = (found: readonly RepairEntry[]): string =>
  table([
    ['ended', 'kind', 'status', 'stored', 'chunk', 'manifest', 'why'],
    ...found.map(({ atMs, kind, status, bytes: stored, chunk, manifest, error, nextMs }) => [
      isoTime(atMs),
      kind,
      status,
      bytes(stored),
      chunk ?? '-',
      manifest,
      [error, nextMs === undefined ? undefined : `again at ${isoTime(nextMs)}`].filter(Boolean).join('; '),
    ]),
  ]);
