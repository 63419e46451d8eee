// Loaded before the program, in its worker threads too: native parts that flip one bit, as HOLDFAST_TEST_FAULT says.
import { createRequire } from 'node:module';

const require = createRequire(process.env.HOLDFAST_TEST_REQUIRE);
const [what, above] = (process.env.HOLDFAST_TEST_FAULT ?? '').split(' above ');

if (what === 'zstd input') {
  const { CCtx } = require('zstd-napi/binding');
  const right = CCtx.prototype.compress2;
  CCtx.prototype.compress2 = function (into, plain) {
    if (plain.length <= Number(above)) return right.call(this, into, plain);
    const wrong = plain.slice();
    wrong[wrong.length >> 1] ^= 1;
    return right.call(this, into, wrong);
  };
}

if (what === 'blake3') {
  const addon = require('@napi-rs/blake-hash');
  const right = addon.blake3;
  addon.blake3 = (data) => {
    const digest = right(data);
    if (data.length > Number(above)) digest[7] ^= 1;
    return digest;
  };
}
