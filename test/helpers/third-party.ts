import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'vitest';
import { absent, NOTHING_MAY_BE_ABSENT } from './absent.ts';

/** Where public projects' vectors lie: `HOLDFAST_VECTORS`, else beside the checkout. */
const FOLDER = process.env.HOLDFAST_VECTORS ?? resolve(import.meta.dirname, '../../../shared/vectors');

/** A test over a file of third-party vectors. See {@link absent} for where the file is not there. */
export function vectorTest<T>(name: string, file: string, run: (vectors: T) => void | Promise<void>): void {
  const path = resolve(FOLDER, file);
  if (existsSync(path)) {
    test(name, () => run(JSON.parse(readFileSync(path, 'utf8')) as T));
    return;
  }
  const say = (): void => absent(`${file} is not in HOLDFAST_VECTORS`, name);
  if (!NOTHING_MAY_BE_ABSENT) say();
  test.skipIf(!NOTHING_MAY_BE_ABSENT)(name, say);
}

/** The shape of Wycheproof's AEAD files (C2SP/wycheproof, `testvectors_v1`). */
export interface AeadVectors {
  readonly numberOfTests: number;
  readonly testGroups: readonly {
    readonly ivSize: number;
    readonly tests: readonly AeadVector[];
  }[];
}

export interface AeadVector {
  readonly tcId: number;
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
  readonly result: 'valid' | 'invalid';
}

export const hexBytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
