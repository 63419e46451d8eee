import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Area } from './area.ts';
import { columns, median } from './numbers.ts';
import { measure } from './processes.ts';
import type { Planned } from './shard-index-run.ts';

const RUN = fileURLToPath(new URL('./shard-index-run.js', import.meta.url));
const SEGMENTS = [10_000, 1_000_000];

export interface ShardIndexFigure extends Planned {
  readonly of: number;
}

/** One of nine providers is lost: how soon is it known which segment is to be repaired first? */
export async function benchShardIndex(
  area: Area,
  runs: number,
  say: (text: string) => void,
): Promise<ShardIndexFigure[]> {
  const figures: ShardIndexFigure[] = [];
  for (const of of SEGMENTS) {
    const folder = join(area.dir, `shard-index-${of}`);
    await mkdir(folder);
    say(`${of} segments`);
    await measure(process.execPath, [RUN, 'fill', folder, `${of}`]);
    const all: Planned[] = [];
    for (let run = 0; run < runs; run++) {
      const { stdout } = await measure(process.execPath, [RUN, 'plan', folder]);
      all.push(JSON.parse(stdout) as Planned);
    }
    const [first] = all;
    const ms = median(all.map((one) => one.ms));
    const peakMib = median(all.map((one) => one.peakMib));
    figures.push({ ...first!, ms, peakMib, allMs: median(all.map((one) => one.allMs)), of });
  }
  return figures;
}

export function renderShardIndex(figures: readonly ShardIndexFigure[]): string {
  return columns([
    [
      'one of nine providers lost',
      'classes',
      'affected',
      'ms to the first segment',
      'entries written',
      'MiB',
      'ms to all',
      'segments',
    ],
    ...figures.map(({ of, ms, classes, affected, written, peakMib, allMs, segments }) => [
      `${of} segments`,
      `${classes}`,
      `${affected}`,
      ms.toFixed(0),
      `${written}`,
      peakMib.toFixed(0),
      allMs.toFixed(0),
      `${segments}`,
    ]),
  ]);
}
