import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Area } from './area.ts';
import { COMMAND, CONFIG } from './holdfast.ts';
import { columns, median } from './numbers.ts';
import { measure } from './processes.ts';

/** A whole process each. */
export interface StartFigure {
  readonly what: string;
  readonly ms: number;
  readonly cpuMs: number;
}

const KIB = 1024;

/** What a command costs that has next to nothing to do. Processes take turns, so that a slow moment hits all of them. */
export async function benchStart({ dir }: Pick<Area, 'dir'>, runs: number): Promise<StartFigure[]> {
  const home = join(dir, 'start');
  const [file, back] = [join(dir, 'start.bin'), join(dir, 'start.out')];
  await mkdir(join(home, 'run'), { recursive: true });
  await writeFile(file, Buffer.alloc(KIB, 'holdfast'));
  const env = { XDG_RUNTIME_DIR: join(home, 'run'), HOLDFAST_PASSPHRASE: 'benchmark', HOLDFAST_AGENT: '' };
  const at = ['--home', home, '--config', CONFIG];
  const holdfast = async (
    args: readonly string[],
    more: Record<string, string> = {},
  ): Promise<StartFigure> => {
    const { ms, cpuSeconds } = await measure(process.execPath, [COMMAND, ...args], {
      env: { ...env, ...more },
    });
    return { what: '', ms, cpuMs: 1000 * cpuSeconds };
  };
  await holdfast(['init', ...at]);
  await holdfast(['put', file, ...at]);
  await holdfast(['unlock', ...at]);
  const [put, get] = [
    ['put', file, ...at],
    ['get', 'start.bin', '-o', back, ...at],
  ];
  const asked = { HOLDFAST_AGENT: 'off' };
  const kinds: readonly (readonly [string, () => Promise<Omit<StartFigure, 'what'>>])[] = [
    ['node itself', () => bare(env)],
    ['--version', () => holdfast(['--version'])],
    ['ls', () => holdfast(['ls', ...at])],
    ['put 1 KiB', () => holdfast(put!)],
    ['get 1 KiB', () => holdfast(get!)],
    ['put 1 KiB, with the passphrase', () => holdfast(put!, asked)],
    ['get 1 KiB, with the passphrase', () => holdfast(get!, asked)],
  ];
  const found = new Map<string, Omit<StartFigure, 'what'>[]>(kinds.map(([what]) => [what, []]));
  try {
    for (let run = 0; run < 5 * runs; run++) {
      for (const [what, once] of kinds) found.get(what)!.push(await once());
    }
  } finally {
    await holdfast(['lock', ...at]);
  }
  return [...found].map(([what, figures]) => ({
    what,
    ms: median(figures.map(({ ms }) => ms)),
    cpuMs: median(figures.map(({ cpuMs }) => cpuMs)),
  }));
}

async function bare(env: Record<string, string>): Promise<Omit<StartFigure, 'what'>> {
  const { ms, cpuSeconds } = await measure(process.execPath, ['-e', '0'], { env });
  return { ms, cpuMs: 1000 * cpuSeconds };
}

export const renderStart = (figures: readonly StartFigure[]): string =>
  columns([
    ['a whole process, unlocked', 'ms', 'CPU ms'],
    ...figures.map(({ what, ms, cpuMs }) => [what, ms.toFixed(0), cpuMs.toFixed(0)]),
  ]);
