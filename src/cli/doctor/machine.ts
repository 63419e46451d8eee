import { stat, statfs } from 'node:fs/promises';
import { type Acceleration, accelerationFrom, type OnUnfit } from '../../core/acceleration.ts';
import { systemClock } from '../../core/clock.ts';
import { VERSION } from '../../core/version.ts';
import { createSharedMemory } from '../../core/wasm.ts';
import { loadPrimitives } from '../../pipeline/cpu/primitives.ts';
import { bytes } from '../format.ts';
import { type Finding, fail, ok, warn } from './finding.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The oldest Node that it runs on, as package.json says. */
const OLDEST_NODE: readonly [number, number] = [20, 19];

/** @param node a version such as `v20.19.0`. */
export function versionsOf(node: string): readonly Finding[] {
  const [major = 0, minor = 0] = node.replace(/^v/, '').split('.').map(Number);
  const what = `holdfast ${VERSION}, Node ${node}, ${process.platform}-${process.arch}`;
  const [oldest, oldestMinor] = OLDEST_NODE;
  if (major > oldest || (major === oldest && minor >= oldestMinor)) return [ok('versions', what)];
  return [fail('versions', what, `Install Node ${OLDEST_NODE.join('.')} or later.`)];
}

/** Who computes what, and why not something faster. */
export async function kernelsOf(env: Env): Promise<readonly Finding[]> {
  const acceleration = accelerationFrom(env);
  const unfit: Finding[] = [];
  const onUnfit: OnUnfit = (what, implementation, why) => {
    const todo = `Another does its work. Reinstall it for this machine, or set HOLDFAST_NATIVE=off and report it.`;
    unfit.push(warn('kernels', `${implementation} for ${what} is not used: it ${why}`, todo));
  };
  const use = await loadPrimitives(
    createSharedMemory(1 << 20),
    acceleration,
    systemClock,
    undefined,
    onUnfit,
  );
  const zstd = await use.codec('zstd', 1);
  const names = [
    `BLAKE3 ${use.blake3.name}`,
    `ChaCha20-Poly1305 ${use.aead.name}`,
    `erasure code ${(await use.kernel()).name}`,
    `zstd ${zstd.implementation}`,
  ];
  return [ok('kernels', `${names.join(', ')}${whyPortable(acceleration)}`), ...unfit];
}

/** What was chosen is said; of the rest, the fastest that is installed is in force. */
function whyPortable({ native, wasm }: Acceleration): string {
  const off = [native ? '' : 'HOLDFAST_NATIVE=off', wasm ? '' : 'HOLDFAST_WASM=off'].filter(Boolean);
  return off.length === 0
    ? ': the fastest of those that are installed and gave the right bytes'
    : `: chosen by ${off.join(' and ')}`;
}

/** Room that something needs on the disk of a folder. */
export interface Need {
  readonly folder: string;
  readonly bytes: number;
  readonly what: string;
}

/** With less than so many times what is needed, it is time to look for more. */
const COMFORT = 8;
/** Of its files a disk should have so many left; made of small blobs it may run out of those first. */
const FEW_FILES = 0.01;

/** One finding for each disk that several needs share. */
export async function disksOf(needs: readonly Need[]): Promise<readonly Finding[]> {
  const disks = new Map<number, { folder: string; room: DiskRoom; needs: Need[] }>();
  for (const need of needs) {
    const found = await diskOf(need.folder);
    if (found === undefined) continue;
    const disk = disks.get(found.device) ?? { folder: need.folder, room: found, needs: [] };
    disk.needs.push(need);
    disks.set(found.device, disk);
  }
  return [...disks.values()].map(judge);
}

interface DiskRoom {
  readonly device: number;
  readonly freeBytes: number;
  readonly freeFiles: number;
  readonly files: number;
}

/** Undefined where the folder is not there yet: others say so. */
async function diskOf(folder: string): Promise<DiskRoom | undefined> {
  try {
    const [{ dev }, { bsize, bavail, files, ffree }] = await Promise.all([stat(folder), statfs(folder)]);
    return { device: dev, freeBytes: bavail * bsize, freeFiles: ffree, files };
  } catch {
    return undefined;
  }
}

function judge(disk: { folder: string; room: DiskRoom; needs: readonly Need[] }): Finding {
  const { freeBytes, freeFiles, files } = disk.room;
  const needed = disk.needs.reduce((sum, need) => sum + need.bytes, 0);
  const whats = [...new Set(disk.needs.map(({ what }) => what))].join(', ');
  const what = `${disk.folder}: ${bytes(freeBytes)} free, ${bytes(needed)} needed (${whats})`;
  const more = `Free space there, or move providers to another disk.`;
  if (freeBytes < needed) return fail('disk', what, more);
  if (files > 0 && freeFiles / files < FEW_FILES)
    return warn('disk', `${what}; only ${freeFiles} files can still be made`, more);
  return freeBytes < COMFORT * needed ? warn('disk', what, more) : ok('disk', what);
}
