import { entryOf } from '../src/core/maps.ts';
import { type Area, warmPages } from './area.ts';
import { type BenchRun, createVault, freshFolder, removeFolder } from './holdfast.ts';
import type { Input } from './inputs.ts';
import { columns, GIB, MIB, median } from './numbers.ts';

const SETTINGS = [
  ['as installed', {}],
  ['HOLDFAST_NATIVE=off', { HOLDFAST_NATIVE: 'off' }],
] as const;
type Setting = (typeof SETTINGS)[number][0];

export interface PortableFigure {
  readonly input: string;
  readonly operation: 'put' | 'get';
  readonly setting: Setting;
  readonly mibPerSecond: number;
  /** Of the whole process. */
  readonly cpuPerGib: number;
}

/** The same put and get with the native parts and without, in turn. Medians. */
export async function benchPortable(
  area: Area,
  inputs: readonly Input[],
  runs: number,
  say: (text: string) => void,
): Promise<PortableFigure[]> {
  const figures: PortableFigure[] = [];
  for (const [i, input] of inputs.entries()) {
    const samples: PortableFigure[] = [];
    for (let run = 0; run < runs; run++) {
      for (const [setting, env] of SETTINGS) {
        await warmPages(area, 1.8 * input.bytes);
        const dir = await freshFolder(area.dir, 'portable');
        const vault = await createVault(dir);
        for (const operation of ['put', 'get'] as const) {
          const result = await vault.run({ what: operation, name: 'object', file: input.file }, { env });
          samples.push(figureOf(result, { input: i === 0 ? 'random' : 'real', operation, setting }));
          say(`${setting}, ${operation}: ${samples.at(-1)!.mibPerSecond.toFixed(0)} MiB/s`);
        }
        await removeFolder(dir);
      }
    }
    figures.push(...medians(samples));
  }
  return figures;
}

function figureOf(
  { bytes, ms, processCpuSeconds }: BenchRun,
  of: Pick<PortableFigure, 'input' | 'operation' | 'setting'>,
): PortableFigure {
  const gib = bytes / GIB;
  return { ...of, mibPerSecond: bytes / MIB / (ms / 1000), cpuPerGib: processCpuSeconds / gib };
}

function medians(samples: readonly PortableFigure[]): PortableFigure[] {
  const groups = new Map<string, PortableFigure[]>();
  for (const sample of samples)
    entryOf(groups, `${sample.operation} ${sample.setting}`, () => []).push(sample);
  return [...groups.values()].map((group) => ({
    ...group[0]!,
    mibPerSecond: median(group.map(({ mibPerSecond }) => mibPerSecond)),
    cpuPerGib: median(group.map(({ cpuPerGib }) => cpuPerGib)),
  }));
}

export function renderPortable(figures: readonly PortableFigure[]): string {
  const of = (input: string, operation: string, setting: Setting): string[] => {
    const figure = figures.find(
      (one) => one.input === input && one.operation === operation && one.setting === setting,
    );
    return figure === undefined ? ['', ''] : [figure.mibPerSecond.toFixed(0), figure.cpuPerGib.toFixed(2)];
  };
  const head = ['', ...SETTINGS.flatMap(([setting]) => [`${setting}, MiB/s`, 'CPU s/GiB'])];
  const rows = ['put', 'get'].flatMap((operation) =>
    ['random', 'real'].map((input) => [
      `${operation} ${input}`,
      ...SETTINGS.flatMap(([setting]) => of(input, operation, setting)),
    ]),
  );
  return columns([head, ...rows]);
}
