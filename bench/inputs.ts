import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Area, writeRandom } from './area.ts';
import { writeCorpus } from './corpus.ts';
import { MIB } from './numbers.ts';

export const PACKAGES: string = fileURLToPath(new URL('../../node_modules', import.meta.url));

export interface Input {
  readonly file: string;
  readonly bytes: number;
  readonly madeOf: string;
}

/** What is put, made when it is first asked for. */
export interface Inputs {
  /** `size` bytes. */
  random(): Promise<Input>;
  /** Text and binaries, half of `size`. */
  real(): Promise<Input>;
}

export function createInputs(area: Area, size: number): Inputs {
  let random: Promise<Input> | undefined;
  let real: Promise<Input> | undefined;
  return {
    random: () => (random ??= makeRandom(join(area.dir, 'random'), size)),
    real: () => (real ??= makeReal(join(area.dir, 'real'), Math.max(64 * MIB, size / 2))),
  };
}

async function makeRandom(file: string, bytes: number): Promise<Input> {
  await writeRandom(file, bytes);
  return { file, bytes, madeOf: 'random bytes' };
}

async function makeReal(file: string, size: number): Promise<Input> {
  const { bytes, madeOf } = await writeCorpus(file, size, PACKAGES);
  return { file, bytes, madeOf };
}
