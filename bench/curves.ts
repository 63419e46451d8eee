import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { type Area, warmPages, writeRandom } from './area.ts';
import { createVault, freshFolder, removeFolder, type VaultSettings } from './holdfast.ts';
import { columns, GIB, MIB } from './numbers.ts';

const KIB = 1024;
const CHUNKS = [256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 8 * MIB];
const PROVIDERS = [3, 5, 9, 14, 20, 27];
/** Of the object that every other curve is taken with. */
const CURVE_BYTES = 256 * MIB;
const OBJECTS = [KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB];
/** Of one object length: as many as make this much, within bounds that keep it short. */
const OBJECTS_BYTES = 32 * MIB;
const MOST_OBJECTS = 200;

interface Point {
  readonly at: string;
  readonly put: Side;
  readonly get: Side;
}

/** Of the operation alone, without the process's start. */
interface Side {
  readonly mibPerSecond: number;
  readonly cpuPerGib: number;
  readonly msPerObject: number;
}

export interface Curve {
  readonly over: string;
  readonly points: readonly Point[];
  /** Tells milliseconds for each object as well. */
  readonly small: boolean;
}

/** @param longest object of the curve over lengths. */
export async function benchCurves(
  area: Area,
  longest: number,
  say: (text: string) => void,
): Promise<Curve[]> {
  const file = await randomFile(area, Math.min(longest, CURVE_BYTES));
  const curve = async (
    over: string,
    points: readonly (readonly [string, VaultSettings])[],
  ): Promise<Curve> => {
    const measured: Point[] = [];
    for (const [at, settings] of points) {
      say(`${over} ${at}`);
      measured.push(await whole(area, file, at, settings));
    }
    return { over, points: measured, small: false };
  };
  await warmPages(area, 2 * longest);
  return [
    await curve(
      'chunk length',
      CHUNKS.map((bytes) => [length(bytes), { sections: fixedChunks(bytes) }]),
    ),
    await curve(
      'providers',
      PROVIDERS.map((providers) => [String(providers), { providers }]),
    ),
    await curve(
      'threads',
      threads().map((workers) => [String(workers), { sections: `[limits]\nmax_workers = ${workers}\n` }]),
    ),
    await overObjects(area, longest, say),
  ];
}

/** 1, 2, 4 and so on up to the number of cores. */
function threads(): number[] {
  const counts: number[] = [];
  for (let count = 1; count < availableParallelism(); count *= 2) counts.push(count);
  return [...counts, availableParallelism()];
}

/** A ladder of one rung. The longest wants the memory of four. */
const fixedChunks = (bytes: number): string =>
  `[chunks]\ndefault_bytes = ${bytes}\nladder = [${bytes}]\n[limits]\nmemory_bytes = "192 MiB"\n`;

async function whole(area: Area, file: string, at: string, settings: VaultSettings): Promise<Point> {
  const dir = await freshFolder(area.dir, 'curves');
  const vault = await createVault(dir, settings);
  const put = await vault.run({ what: 'put', name: 'object', file });
  const get = await vault.run({ what: 'get', name: 'object' });
  await removeFolder(dir);
  return { at, put: side(put, 1), get: side(get, 1) };
}

async function randomFile(area: Area, bytes: number): Promise<string> {
  const path = join(area.dir, 'curve');
  await writeRandom(path, bytes);
  return path;
}

/** Objects of one length, one after the other in one process. */
async function overObjects(area: Area, longest: number, say: (text: string) => void): Promise<Curve> {
  const points: Point[] = [];
  for (const bytes of [...OBJECTS.filter((bytes) => bytes < longest), longest]) {
    const at = length(bytes);
    say(`objects of ${at}`);
    const objects = Math.max(1, Math.min(MOST_OBJECTS, Math.floor(OBJECTS_BYTES / bytes)));
    const dir = await freshFolder(area.dir, 'curves');
    const vault = await createVault(dir);
    // One alone is put from its file, as the program does; many come from memory.
    const job = { name: 'object', ...(objects > 1 && { objects, bytes }) };
    const file = await randomFile(area, Math.max(bytes, Math.min(longest, OBJECTS_BYTES)));
    const put = await vault.run({ ...job, what: 'put', file });
    const get = await vault.run({ ...job, what: 'get' });
    points.push({ at, put: side(put, objects), get: side(get, objects) });
    await removeFolder(dir);
  }
  return { over: 'object length', points, small: true };
}

function side(run: { bytes: number; ms: number; cpuSeconds: number }, objects: number): Side {
  return {
    mibPerSecond: run.bytes / MIB / (run.ms / 1000),
    cpuPerGib: run.cpuSeconds / (run.bytes / GIB),
    msPerObject: run.ms / objects,
  };
}

function length(bytes: number): string {
  if (bytes >= GIB) return `${bytes / GIB} GiB`;
  return bytes >= MIB ? `${bytes / MIB} MiB` : `${bytes / KIB} KiB`;
}

export function renderCurves(curves: readonly Curve[]): string {
  return `each once\n${curves.map(renderCurve).join('\n\n')}`;
}

function renderCurve({ over, points, small }: Curve): string {
  const cells = ({ mibPerSecond, cpuPerGib, msPerObject }: Side): string[] => [
    mibPerSecond.toFixed(mibPerSecond < 10 ? 2 : 0),
    cpuPerGib.toFixed(cpuPerGib < 100 ? 2 : 0),
    ...(small ? [msPerObject.toFixed(1)] : []),
  ];
  const titles = ['MiB/s', 'CPU s/GiB', ...(small ? ['ms each'] : [])];
  return columns([
    [over, ...titles.map((title) => `put ${title}`), ...titles.map((title) => `get ${title}`)],
    ...points.map(({ at, put, get }) => [at, ...cells(put), ...cells(get)]),
  ]);
}
