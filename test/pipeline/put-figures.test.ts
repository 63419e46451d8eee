import { expect, it } from 'vitest';
import { putObject } from '../../src/pipeline/put/put.ts';
import { noise, testVault } from '../helpers/vault.ts';

it('the time a put will still take is told from what is acknowledged, not from what was read', async () => {
  let release = (): void => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { context } = await testVault({
    wrap: (adapter) => ({
      ...adapter,
      store: async (address, parts, options) => {
        await held;
        return adapter.store(address, parts, options);
      },
    }),
  });
  const told: number[] = [];
  const metrics = { ...context.metrics, putEta: (seconds: number) => told.push(seconds) };
  const object = noise(1_000_000);
  let read = 0;
  const putting = putObject({ ...context, metrics }, object, {
    onProgress: ({ bytesRead }) => {
      read = bytesRead;
    },
  });
  await expect.poll(() => read).toBe(object.length);
  expect(told).toEqual([]);
  release();
  await putting;
  expect(told.length).toBeGreaterThan(2);
  expect(told.every((seconds) => Number.isFinite(seconds) && seconds >= 0)).toBe(true);
  expect(told.at(-1)).toBe(0);
});
