import { expect, test } from 'vitest';
import { wasmBlake3 } from '../../src/core/b3/wasm.ts';
import { isTorn } from '../../src/receipts/log/batch.ts';

test('garbage that looks like beginnings of many batches is not hashed over and over', () => {
  const garbage = Buffer.alloc(1024 ** 2);
  for (let at = 0; at + 80_000 < garbage.length; at += 40) {
    garbage.set([0x82, 0x58, 0x20], at);
    garbage.set([0x5a, 0, 1, 0, 0], at + 35);
  }
  let hashed = 0;
  const hash = (data: Uint8Array): Uint8Array => {
    hashed += data.length;
    return wasmBlake3.hash(data);
  };
  expect(isTorn({ hash }, garbage, 0)).toBe(true);
  expect(hashed).toBe(0);
});
