import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Area, warmPages, writeRandom } from './area.ts';
import { writeText } from './corpus.ts';
import { createVault, freshFolder, removeFolder } from './holdfast.ts';
import { PACKAGES } from './inputs.ts';
import { GIB, MIB, median } from './numbers.ts';
import { measure } from './processes.ts';

const KERNELS = fileURLToPath(new URL('./gate-kernels.js', import.meta.url));
const INPUTS = { random: 256 * MIB, text: 128 * MIB } as const;
type InputName = keyof typeof INPUTS;

export const OPERATIONS = ['put random', 'get random', 'put text', 'get text'] as const;
export type OperationName = (typeof OPERATIONS)[number];

/** How many times the kernels' own processor time it takes. */
export interface Ratio {
  /** Processor time, user and system, all threads. */
  readonly cpu: number;
  readonly wall: number;
}

export type Ratios = Readonly<Record<OperationName, Ratio>>;

interface Sample {
  readonly operation: OperationName;
  /** Seconds per GiB. */
  readonly cpu: number;
  readonly wall: number;
  readonly kernels: number;
}

/**
 * Rounds of kernels, put and get, so that whatever else the machine does hits all of them. Processor time: the median
 * of what each round says by itself. Wall time, which others stretch at will: the least there was.
 */
export async function measureRatios(
  area: Area,
  rounds: number,
  say: (text: string) => void,
): Promise<Ratios> {
  const files = { random: join(area.dir, 'random'), text: join(area.dir, 'text') };
  await writeRandom(files.random, INPUTS.random);
  await writeText(files.text, INPUTS.text, PACKAGES);
  await warmPages(area, 2 * INPUTS.random);
  const samples: Sample[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`);
    for (const name of Object.keys(INPUTS) as InputName[]) {
      samples.push(...(await oneRound(area, name, files[name])));
    }
  }
  const ratios = OPERATIONS.map((operation) => {
    const own = samples.filter((sample) => sample.operation === operation);
    const least = (of: (sample: Sample) => number): number => Math.min(...own.map(of));
    const cpu = median(own.map(({ cpu, kernels }) => cpu / kernels));
    const wall = least(({ wall }) => wall) / least(({ kernels }) => kernels);
    return [operation, { cpu, wall }] as const;
  });
  return Object.fromEntries(ratios) as unknown as Ratios;
}

async function oneRound(area: Area, name: InputName, file: string): Promise<Sample[]> {
  const kernels = await kernelsOnAllCores(area, file);
  const vault = await createVault(await freshFolder(area.dir, 'gate'));
  try {
    const samples: Sample[] = [];
    for (const what of ['put', 'get', 'get'] as const) {
      const { bytes, cpuSeconds, ms } = await vault.run({ what, name: 'object', file });
      samples.push({
        operation: `${what} ${name}`,
        cpu: cpuSeconds / (bytes / GIB),
        wall: ms / 1000 / (bytes / GIB),
        kernels: kernels[what],
      });
    }
    return samples;
  } finally {
    await removeFolder(join(area.dir, 'gate'));
  }
}

/**
 * One process for each core, at the same time, as a put keeps all cores busy: two that share a core's arithmetic, or
 * its memory, are slower than one.
 */
async function kernelsOnAllCores(area: Area, file: string): Promise<{ put: number; get: number }> {
  const runs = Array.from({ length: availableParallelism() }, async (_, i) => {
    const dir = await freshFolder(area.dir, `kernels-${i}`);
    const { stdout } = await measure(process.execPath, [KERNELS, file, dir]);
    await removeFolder(dir);
    return JSON.parse(stdout) as { put: number; get: number };
  });
  const sums = await Promise.all(runs);
  const mean = (of: (sum: { put: number; get: number }) => number): number =>
    sums.reduce((all, sum) => all + of(sum), 0) / sums.length;
  return { put: mean(({ put }) => put), get: mean(({ get }) => get) };
}
