import type { PlanRow, PlanTable, Reads } from './plan.ts';

const HEADINGS = [
  'code',
  'providers',
  'overhead',
  'any may vanish',
  'fatal example',
  'reads/lost shard',
  'reads/lost provider',
  'nines/object-year',
];

/** The table as text for a terminal, and what it rests on. */
export function renderPlan({ rows, model }: PlanTable): string {
  const cells = [HEADINGS, ...rows.map(cellsOf)];
  const widths = HEADINGS.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  return [...lines, '', ...remarks(rows), ...assumptions(model)].join('\n');
}

function cellsOf(row: PlanRow): string[] {
  const provider = row.reads_per_lost_provider;
  return [
    row.code,
    String(row.providers),
    `${row.overhead.toFixed(2)}x`,
    row.tolerates < 1 ? 'none' : String(row.tolerates),
    row.worst_case.join('+'),
    readsCell(row.reads_per_lost_shard),
    provider === undefined ? 'impossible' : `${readsCell(provider)} for ${decimals(provider.shards)}`,
    row.durability.nines.toFixed(1),
  ];
}

function readsCell({ least, most, mean }: Reads): string {
  return least === most ? String(least) : `${least}-${most}, mean ${decimals(mean)}`;
}

const decimals = (value: number): string => (Number.isInteger(value) ? String(value) : value.toFixed(1));

/** What cannot survive even one loss, said plainly, a line a code. */
function remarks(rows: readonly PlanRow[]): string[] {
  const frail = rows.filter((row) => row.tolerates < 1);
  return [...new Set(frail.map(({ code }) => code))].map((code) => {
    const counts = frail.filter((row) => row.code === code).map(({ providers }) => providers);
    return `${code} on ${counts.join(', ')} provider${counts.join() === '1' ? '' : 's'} cannot survive even one loss.`;
  });
}

function assumptions({ annualLoss, repair }: PlanTable['model']): string[] {
  const lost = `Nines: a provider is lost for good with probability ${percent(annualLoss)} a year`;
  const then =
    repair === undefined
      ? [
          `${lost}, and nothing is rebuilt:`,
          'they are of the first year after a put. --repair-hours shows what putting objects anew gives;',
        ]
      : [
          `${lost}, noticed after ${repair.detectionHours} h and`,
          `what it held put anew by you after ${repair.repairHours} h more: nothing does that by itself;`,
        ];
  return [
    ...then,
    'losses independent of each other. One cause for several losses, faults in software and lost keys are not in',
    'this model, and bound what any real figure can be.',
  ];
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
