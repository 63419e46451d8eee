import { statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { type Area, openArea } from './area.ts';
import { type BenchRun, createVault } from './holdfast.ts';
import { columns, GIB, MIB } from './numbers.ts';

const SIZES = [1, 2, 4];
const DEEP_SIZES = [1, 8, 16];
/** What the default code writes for a byte, and some more. */
const STORED = 1.8;
/** What else a tmpfs leaves in memory. */
const SPARE = 4 * GIB;

export interface MemoryFigure {
  readonly gib: number;
  readonly onTmpfs: boolean;
  readonly put: Side;
  readonly get: Side;
}

interface Side {
  readonly peakRss: number;
  readonly mibPerSecond: number;
}

/** Objects that are made as they are put and dropped as they are got: memory must not grow with them. */
export async function benchMemory(
  area: Area,
  deep: boolean,
  say: (text: string) => void,
): Promise<MemoryFigure[]> {
  const figures: MemoryFigure[] = [];
  for (const gib of deep ? DEEP_SIZES : SIZES) {
    const place = await roomFor(area, STORED * gib * GIB);
    say(`${gib} GiB in ${place.dir}`);
    try {
      const vault = await createVault(place.dir);
      const put = await vault.run({ what: 'generate', name: 'object', bytes: gib * GIB });
      const get = await vault.run({ what: 'get', name: 'object' });
      figures.push({ gib, onTmpfs: place.tmpfs, put: side(put), get: side(get) });
      await vault.remove();
    } finally {
      if (place !== area) await place.remove();
    }
  }
  return figures;
}

/** Where it is all measured, or the disk when memory cannot take it. @throws Error when the disk cannot either. */
async function roomFor(area: Area, bytes: number): Promise<Area> {
  if ((!area.tmpfs || freemem() > bytes + SPARE) && (await freeBytes(area.dir)) > bytes) return area;
  const disk = await openArea(tmpdir());
  if ((await freeBytes(disk.dir)) > bytes) return disk;
  await disk.remove();
  throw new Error(`no room for ${(bytes / GIB).toFixed(0)} GiB in ${area.dir} or ${tmpdir()}`);
}

async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize } = await statfs(dir);
  return bavail * bsize;
}

const side = ({ peakRss, bytes, ms }: BenchRun): Side => ({
  peakRss,
  mibPerSecond: bytes / MIB / (ms / 1000),
});

export function renderMemory(figures: readonly MemoryFigure[]): string {
  const first = figures[0]!;
  const cells = ({ peakRss, mibPerSecond }: Side, before: Side): string[] => [
    (peakRss / MIB).toFixed(0),
    `${(peakRss / before.peakRss).toFixed(2)}x`,
    mibPerSecond.toFixed(0),
  ];
  return columns([
    ['each once', 'put RSS MiB', '', 'MiB/s', 'get RSS MiB', '', 'MiB/s', 'on'],
    ...figures.map(({ gib, onTmpfs, put, get }) => [
      `${gib} GiB`,
      ...cells(put, first.put),
      ...cells(get, first.get),
      onTmpfs ? 'tmpfs' : 'disk',
    ]),
  ]);
}
