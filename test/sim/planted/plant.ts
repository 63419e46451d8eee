import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PlantedBug } from './bug.ts';

/** What the simulation is built of. */
const PARTS = [
  'package.json',
  'tsconfig.json',
  'tsconfig.conformance.json',
  'tsconfig.sim.json',
  'src',
  'test/sim',
];

/** Why a bug cannot be planted: what it replaces is not there, or not only once. Empty: it can. */
export async function misfits(root: string, { id, changes }: PlantedBug): Promise<string[]> {
  const wrong: string[] = [];
  for (const { file, find } of changes) {
    const text = await readFile(join(root, file), 'utf8').catch(() => '');
    const times = text.split(find).length - 1;
    if (times !== 1) wrong.push(`${id}: ${file} has ${times} times, not once: ${find}`);
  }
  return wrong;
}

/** A copy of the simulation and of all that it runs, with the bug in it. */
export async function plant(root: string, into: string, bug: PlantedBug): Promise<void> {
  await rm(into, { recursive: true, force: true });
  await mkdir(into, { recursive: true });
  for (const part of PARTS) await cp(join(root, part), join(into, part), { recursive: true });
  for (const { file, find, replace } of bug.changes) {
    const text = await readFile(join(into, file), 'utf8');
    await writeFile(
      join(into, file),
      text.replace(find, () => replace),
    );
  }
}
