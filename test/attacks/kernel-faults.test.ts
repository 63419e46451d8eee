import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VaultContext } from '../../src/pipeline/context.ts';
import type { TestVault, TestVaultOptions } from '../helpers/vault.ts';
import { Fault, mockKernels, TARGETS, type Target } from './faulty-kernels.ts';

/**
 * One bit, at a random place of what an accelerated function gives back or is given. Constant: found at the start, or
 * by the first put. Once in a while: found before a put is acknowledged where all writes are verified, and otherwise
 * before a read of the whole object ends.
 */

const ROUNDS = process.env.SLOW ? 40 : 3;
const ONE_IN = 5;
const SIZE = 140_000;

const fault = new Fault(20_261_128);
mockKernels(fault);

interface Tools {
  testVault(options?: TestVaultOptions): Promise<TestVault>;
  put(context: VaultContext, bytes: Uint8Array, name: string): Promise<unknown>;
  /** Plaintext up to the end or the error. */
  get(context: VaultContext, name: string, length?: number): Promise<{ bytes: Uint8Array; code?: string }>;
  noise(length: number, seed?: number): Uint8Array;
}
let tools: Tools;

beforeAll(async () => {
  const { testVault, noise } = await import('../helpers/vault.ts');
  const { putObject } = await import('../../src/pipeline/put/put.ts');
  const { getObject } = await import('../../src/pipeline/get/get.ts');
  tools = {
    testVault,
    noise,
    put: (context, bytes, name) => putObject(context, bytes, { name }),
    async get(context, name, length) {
      const parts: Uint8Array[] = [];
      try {
        for await (const piece of await getObject(context, name, { length })) parts.push(piece);
        return { bytes: Buffer.concat(parts) };
      } catch (error) {
        return { bytes: Buffer.concat(parts), code: codeOf(error) };
      }
    },
  };
});

const rows = new Map<Target, Record<string, string>>();
const note = (target: Target, column: string, text: string): void => {
  rows.set(target, { ...rows.get(target), [column]: text });
};
afterAll(() => console.table(Object.fromEntries(rows)));

const codeOf = (error: unknown): string => String((error as { code?: unknown }).code ?? error);

/** Half of it compresses. */
const content = (seed: number): Uint8Array => {
  const bytes = tools.noise(SIZE, seed);
  for (let at = 0; at < SIZE; at += 64) bytes.fill(seed, at, at + 40);
  return bytes;
};

const vault = (target: Target, verifyWrites: 'off' | 'sample' | 'full'): Promise<TestVault> =>
  tools.testVault({
    chunkBytes: 65_536,
    policy: { verifyWrites, compression: target.startsWith('deflate') ? 'deflate' : 'zstd' },
  });

/** What the twins in use are called, and which were found unfit. */
async function selected(): Promise<{ names: string; unfit: string[] }> {
  const { loadPrimitives } = await import('../../src/pipeline/cpu/primitives.ts');
  const { createMemory } = await import('../../src/core/wasm.ts');
  const { systemClock } = await import('../../src/core/clock.ts');
  const { ACCELERATION } = await import('../helpers/vault.ts');
  const unfit: string[] = [];
  const use = await loadPrimitives(createMemory(1 << 20), ACCELERATION, systemClock, undefined, (what, by) =>
    unfit.push(`${what}: ${by}`),
  );
  const codecs = [await use.codec('zstd', 1), await use.codec('deflate', 1)];
  const names = [
    use.blake3.name,
    use.aead.name,
    (await use.kernel()).name,
    ...codecs.map((one) => one.implementation),
  ];
  return { names: names.join(), unfit };
}

describe.each(TARGETS)('a bit flipped in %s', (target) => {
  test('at every call is noticed at the start, or by the first put', async () => {
    fault.rest();
    const healthy = await selected();
    fault.arm(target, 1);
    const { names, unfit } = await selected();
    if (fault.hits === 0) return note(target, 'constant', 'not used here');
    if (unfit.length > 0) {
      expect(names).not.toBe(healthy.names);
      // The twin that takes over does it all.
      const { context } = await vault(target, 'sample');
      await tools.put(context, content(1), 'x');
      expect((await tools.get(context, 'x')).bytes).toEqual(Buffer.from(content(1)));
      note(target, 'constant', 'at the start');
    } else {
      const { context } = await vault(target, 'sample');
      await expect(tools.put(context, content(1), 'x')).rejects.toMatchObject({ code: 'kernel_fault' });
      note(target, 'constant', 'by the first put');
    }
    fault.rest();
  });

  test('now and then, with all writes verified, is never in what was acknowledged', async () => {
    const { refused, acknowledged, bad } = await puts(target, 'full');
    note(target, '1 in 5, full', `${refused} puts refused, ${acknowledged} right, ${bad} bad`);
    expect(bad).toBe(0);
  });

  test('now and then, with a sample verified, is refused or read as an error, never as another object', async () => {
    const { refused, acknowledged, bad, wrong } = await puts(target, 'sample');
    note(target, '1 in 5, sample', `${refused} puts refused, ${acknowledged} right, ${bad} unreadable`);
    expect(wrong).toBe(0);
  });

  test('now and then while reading ends in the right bytes or a typed error', async () => {
    const { context } = await vault(target, 'sample');
    const bytes = content(9);
    fault.rest();
    await tools.put(context, bytes, 'x');
    let [right, errors, early, range] = [0, 0, 0, 0];
    fault.arm(target, ONE_IN);
    for (let round = 0; round < ROUNDS; round++) {
      const { bytes: read, code } = await tools.get(context, 'x');
      const same = Buffer.compare(read, bytes.subarray(0, read.length)) === 0;
      if (code === undefined) {
        expect(same && read.length === bytes.length).toBe(true);
        right++;
      } else {
        expect(code).toMatch(/^\w+$/);
        errors++;
        if (!same) early++;
      }
      const part = await tools.get(context, 'x', SIZE / 2);
      if (Buffer.compare(part.bytes, bytes.subarray(0, part.bytes.length)) !== 0) range++;
    }
    fault.rest();
    note(
      target,
      'reads, 1 in 5',
      `${right} right, ${errors} errors (${early} after wrong pieces), ${range} wrong ranges`,
    );
  });
});

/** Puts while the fault is there, reads without it. */
async function puts(
  target: Target,
  verifyWrites: 'sample' | 'full',
): Promise<{ refused: number; acknowledged: number; bad: number; wrong: number }> {
  fault.rest();
  const { context } = await vault(target, verifyWrites);
  await tools.put(context, content(255), 'first'); // every kernel is chosen now
  const counts = { refused: 0, acknowledged: 0, bad: 0, wrong: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = content(round + 1);
    fault.arm(target, ONE_IN);
    let acknowledged = true;
    try {
      await tools.put(context, bytes, `o${round}`);
    } catch (error) {
      acknowledged = false;
      // A wrong address is refused by providers, so a put may also end for want of them.
      expect(codeOf(error)).toMatch(/^(kernel_fault|not_enough_providers|certificate_shortfall)$/);
      counts.refused++;
    }
    fault.rest();
    if (!acknowledged) continue;
    const { bytes: read, code } = await tools.get(context, `o${round}`);
    if (code !== undefined) counts.bad++;
    else if (Buffer.compare(read, bytes) !== 0) counts.wrong++;
    else counts.acknowledged++;
  }
  return counts;
}
