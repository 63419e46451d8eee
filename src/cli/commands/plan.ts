import { createLinearCode } from '../../coding/erasure/code.ts';
import { parseCode } from '../../coding/erasure/parse-code.ts';
import { DEFAULT_MODEL, USUAL_REPAIR } from '../../placement/plan/durability.ts';
import { planTable } from '../../placement/plan/plan.ts';
import { renderPlan } from '../../placement/plan/render.ts';
import { codeOf } from '../../vault/settings.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';

interface PlanFlags extends ConfigFlags {
  readonly providers: readonly number[];
  readonly code?: readonly string[];
  readonly annualLoss?: number;
  readonly detectHours?: number;
  readonly repairHours?: number;
}

export default async function plan(this: CliContext, flags: PlanFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const config = await configOf(flags, io);
    const codes = flags.code?.map((text) => createLinearCode(parseCode(text)));
    const ours = createLinearCode(codeOf(config));
    const repairs = flags.detectHours !== undefined || flags.repairHours !== undefined;
    const model = {
      annualLoss: flags.annualLoss ?? DEFAULT_MODEL.annualLoss,
      ...(repairs && {
        repair: {
          detectionHours: flags.detectHours ?? USUAL_REPAIR.detectionHours,
          repairHours: flags.repairHours ?? USUAL_REPAIR.repairHours,
        },
      }),
    };
    const table =
      codes === undefined
        ? planTable({ codes: [ours], fits: true, providers: flags.providers, model })
        : planTable({ codes, providers: flags.providers, model });
    output(io, flags.json, table, () => renderPlan(table));
    return undefined;
  });
}
