import fc from 'fast-check';

const run = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 9000 }))
  .map(([byte, length]) => new Uint8Array(length).fill(byte));
const repeated = fc
  .tuple(fc.uint8Array({ minLength: 1, maxLength: 80 }), fc.integer({ min: 1, max: 60 }))
  .map(([unit, times]) => Uint8Array.from(Buffer.concat(new Array<Uint8Array>(times).fill(unit))));

/** Bytes with runs, repeats near and far, and noise between them. */
export const compressible: fc.Arbitrary<Uint8Array> = fc
  .array(fc.oneof(run, repeated, fc.uint8Array({ maxLength: 300 })), { maxLength: 8 })
  .chain((pieces) =>
    fc
      .array(fc.nat({ max: Math.max(0, pieces.length - 1) }), { maxLength: 8 })
      .map((again) => Buffer.concat([...pieces, ...again.map((i) => pieces[i] ?? new Uint8Array(0))])),
  )
  .map((bytes) => Uint8Array.from(bytes));

/** A change to a stream: a byte flipped, inserted or removed, the end cut off, or rubbish appended. */
export const mutation: fc.Arbitrary<(bytes: Uint8Array) => Uint8Array> = fc
  .tuple(
    fc.constantFrom('flip', 'insert', 'remove', 'cut', 'append'),
    fc.nat(),
    fc.integer({ min: 1, max: 255 }),
  )
  .map(([kind, place, byte]) => (bytes) => {
    const at = place % (bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    switch (kind) {
      case 'flip':
        return bytes.map((b, i) => (i === at ? b ^ byte : b));
      case 'insert':
        return Uint8Array.from([...before, byte, ...after]);
      case 'remove':
        return Uint8Array.from([...before, ...after.subarray(1)]);
      case 'cut':
        return before.slice();
      default:
        return Uint8Array.from([...bytes, byte, byte]);
    }
  });
