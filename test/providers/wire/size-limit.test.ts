import { expect, it } from 'vitest';
import { HoldfastError } from '../../../src/core/errors.ts';
import { createSizeLimit } from '../../../src/providers/wire/size-limit.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

const KNOWN = {
  supportsList: true,
  supportsSlots: true,
  durable: true,
  maxBlobBytes: 1000,
  sureBlobBytes: 100,
};
const refused = (maxBodyBytes?: number) => async () => {
  throw new HoldfastError('RangeNotSatisfiable', 'no', { context: { status: 413, maxBodyBytes } });
};

it('what was taken once is sure from then on', async () => {
  const { capabilities, sending } = createSizeLimit(KNOWN, new FakeClock());
  await sending(300, async () => {});
  expect(capabilities).toMatchObject({ maxBlobBytes: 1000, sureBlobBytes: 300 });
});

it('a limit holds for ten minutes, and is then looked for anew', async () => {
  const clock = new FakeClock();
  const { capabilities, sending } = createSizeLimit(KNOWN, clock);
  await expect(sending(800, refused(60))).rejects.toMatchObject({
    code: 'blob_too_large',
    context: { cap: 60 },
  });
  expect(capabilities).toMatchObject({ maxBlobBytes: 60, sureBlobBytes: 60 });
  await clock.advance(599_000);
  expect(capabilities.maxBlobBytes).toBe(60);
  await clock.advance(2_000);
  expect(capabilities).toMatchObject({ maxBlobBytes: 1000, sureBlobBytes: 60 });
});

it('a limit that is more than what was refused is not believed', async () => {
  const { capabilities, sending } = createSizeLimit(KNOWN, new FakeClock());
  await expect(sending(800, refused(9999))).rejects.toMatchObject({ context: { cap: 400 } });
  expect(capabilities.maxBlobBytes).toBe(400);
});

it('another failure says nothing of lengths', async () => {
  const { capabilities, sending } = createSizeLimit(KNOWN, new FakeClock());
  await expect(
    sending(800, async () => {
      throw new HoldfastError('Unavailable', 'no', { context: { status: 500 } });
    }),
  ).rejects.toMatchObject({ kind: 'Unavailable' });
  expect(capabilities.maxBlobBytes).toBe(1000);
});
