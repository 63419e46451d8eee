import { createLinearCode } from '../../coding/erasure/code.ts';
import { type CodeParams, DEFAULT_LRC } from '../../coding/erasure/params.ts';
import { HoldfastError } from '../../core/errors.ts';
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
    const codes = flags.code?.map((text) => createLinearCode(parseCode(text))) ?? [
      createLinearCode(codeOf(config)),
    ];
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
    const table = planTable({ codes, providers: flags.providers, model });
    output(io, flags.json, table, () => renderPlan(table));
    return undefined;
  });
}

/** `lrc`, `lrc:16+5+3` (no overlay), `lrc:16+5+3+3wide`, `reed-solomon:16+8`, `xor:16+1`, `replica:4`. */
function parseCode(text: string): CodeParams {
  const [algorithm, shape = ''] = text.split(':', 2) as [string, string?];
  const counts = (shape.match(/\d+/g) ?? []).map(Number);
  const overlay = /\d(pair|wide)$/.exec(shape)?.[1] as 'pair' | 'wide' | undefined;
  if (algorithm === 'lrc' && shape === '') return DEFAULT_LRC;
  if (algorithm === 'lrc' && /^\d+\+\d+\+\d+(\+\d+(pair|wide))?$/.test(shape)) {
    const [dataShards, localParity, globalParity, fountainShards = 0] = counts as [
      number,
      number,
      number,
      number?,
    ];
    return {
      algorithm,
      dataShards,
      localParity,
      globalParity,
      fountainShards,
      fountainKind: overlay ?? 'none',
    };
  }
  if ((algorithm === 'reed-solomon' || algorithm === 'xor') && /^\d+\+\d+$/.test(shape)) {
    const [dataShards, parityShards] = counts as [number, number];
    return { algorithm, dataShards, parityShards };
  }
  if (algorithm === 'replica' && /^\d+$/.test(shape)) return { algorithm, copies: counts[0]! };
  throw new HoldfastError('ConfigInvalid', `"${text}" is not a code`, {
    code: 'bad_code',
    hint: 'Give lrc, lrc:16+5+3, lrc:16+5+3+3wide, reed-solomon:16+8, xor:16+1 or replica:4.',
  });
}
