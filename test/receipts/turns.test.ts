import { expect, test } from 'vitest';
import { decodeReceipt, encodeReceipt, type ReadAck } from '../../src/receipts/records/records.ts';
import { ackOf, ed25519, grantOf, newWorld } from './world.ts';

async function counting() {
  const checked = { signatures: 0 };
  const { desk, files } = await newWorld({
    ed25519: {
      ...ed25519,
      verifyApart: (...given) => {
        checked.signatures++;
        return ed25519.verifyApart(...given);
      },
    },
  });
  return { desk, files, checked };
}

/** One that is signed for other bytes. */
const spoilt = (ack: Uint8Array, bytes = 7): Uint8Array =>
  encodeReceipt({ ...(decodeReceipt(ack) as ReadAck), bytes });

test('a read by itself has four wrong signatures checked, however many come at once', async () => {
  const { desk, checked } = await counting();
  const ack = ackOf(grantOf(desk));
  const told = await Promise.all(Array.from({ length: 256 }, (_, i) => desk.accept(spoilt(ack, i))));
  expect(new Set(told)).toEqual(new Set(['signature']));
  expect(checked.signatures).toBe(4);
  expect(await desk.accept(ack)).toBe('signature');
  // Others are none the worse for it.
  expect(await desk.accept(ackOf(grantOf(desk)))).toBeUndefined();
});

test('wrong ones before it keep no right one out, and copies of it are not checked again', async () => {
  const { desk, checked } = await counting();
  const ack = ackOf(grantOf(desk));
  const wrong = spoilt(ack);
  const told = await Promise.all([wrong, wrong, ack, ack, wrong, ack].map((one) => desk.accept(one)));
  expect(told).toEqual(['signature', 'signature', undefined, 'duplicate', 'duplicate', 'duplicate']);
  expect(checked.signatures).toBe(3);
});

test('one that could not be written down is taken in its next turn', async () => {
  const { desk, files } = await counting();
  const ack = ackOf(grantOf(desk));
  let left = 1;
  files.fault = (step) => (step === 'append' && left-- > 0 ? new Error('full') : undefined);
  expect(await Promise.all([desk.accept(ack), desk.accept(ack)])).toEqual(['unwritten', undefined]);
});
