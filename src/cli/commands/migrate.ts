import type { EngineName } from '../../engine/engine.ts';
import { migrateRecords } from '../../vault/migrate.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { bytes, counted } from '../format.ts';
import { output } from '../io.ts';
import { Progress, type Unit } from '../progress.ts';
import { runCommand } from '../run-command.ts';
import { logOfWaiting } from '../waiting.ts';

const records: Unit = (count) => `${Math.round(count)} records`;

export default async function migrate(
  this: CliContext,
  flags: ConfigFlags,
  from: string,
  to: string,
  engine: EngineName,
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    const bars = {
      copying: new Progress(io, 'copying', flags.json, records),
      checking: new Progress(io, 'checking', flags.json, records),
    };
    const result = await migrateRecords(
      config,
      io.env,
      { from, to, engine },
      {
        signal: io.signal,
        onProgress: (step, at) => bars[step].update(at.records, undefined),
        log: logOfWaiting(io, flags.json),
      },
    ).finally(() => bars.checking.end());
    output(io, flags.json, result, () =>
      [
        `${counted(result.records, 'record')} (${bytes(result.bytes)}) ${engine === 'memory' ? 'can be moved' : 'moved'} from ${result.from} to ${result.to}`,
        ...(result.resumedAt > 0 ? [`  ${result.resumedAt} of them by a run that was ended`] : []),
        `  both have the checksum ${result.checksum}`,
        ...(engine === 'memory'
          ? []
          : [`  nothing opens ${result.from} any more; set engine.default = "${engine}"`]),
      ].join('\n'),
    );
    return undefined;
  });
}
