import type { LitmusReport } from './litmus.ts';

export interface Row {
  readonly adapter: string;
  readonly server: string;
  /** Why it did not run; the figures are 0 then. */
  readonly absent?: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failed: number;
  readonly seconds: number;
  /** How many cases were skipped for a reason, by reason. */
  readonly skips: Readonly<Record<string, number>>;
  readonly failures: readonly { readonly name: string; readonly reason: string }[];
}

export function renderRows(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.adapter,
    row.server,
    ...(row.absent === undefined
      ? [row.passed, row.skipped, row.failed, row.seconds.toFixed(1)].map(String)
      : ['-', '-', '-', '-']),
    row.absent === undefined ? reasons(row) : `not run: ${row.absent}`,
  ]);
  const failures = rows.flatMap((row) =>
    row.failures.map(({ name, reason }) => `failed: ${row.adapter} on ${row.server}: ${name}: ${reason}`),
  );
  const heads = ['adapter', 'server', 'passed', 'skipped', 'failed', 'seconds', 'why skipped'];
  return [columns([heads, ...cells]), ...failures].join('\n');
}

const reasons = ({ skips }: Row): string =>
  Object.entries(skips)
    .map(([reason, count]) => `${count}: ${reason}`)
    .join('; ');

export function renderLitmus(reports: readonly LitmusReport[]): string {
  const lines = reports.flatMap(({ server, absent, suites }) =>
    absent !== undefined
      ? [`litmus on ${server}: not run: ${absent}`]
      : [
          `litmus on ${server}: ${suites
            .map(({ suite, passed, failed, skipped }) => {
              const none = skipped === 0 ? '' : `, ${skipped} skipped`;
              return `${suite} ${passed} passed, ${failed} failed${none}`;
            })
            .join('; ')}`,
          ...suites.flatMap(({ suite, remarks }) => remarks.map((remark) => `  ${suite}: ${remark}`)),
        ],
  );
  return ['What litmus says about the servers (it tests them, not the adapter):', ...lines].join('\n');
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
