import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf } from '../../src/core/address.ts';
import { HoldfastError, isHoldfastError } from '../../src/core/errors.ts';
import { deriveObjectKeys, keyedHash } from '../../src/keys/derivation.ts';
import { seal } from '../../src/keys/seal.ts';
import { Cid } from '../../src/manifest/cid.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';
import { decodeIndexNode, encodeIndexNode, unsealIndexNode } from '../../src/manifest/links.ts';
import { openPointer, sealPointer } from '../../src/manifest/pointer.ts';
import { decodeRoot, openRoot } from '../../src/manifest/root.ts';
import {
  decodeSegmentNode,
  encodeSegmentNode,
  sealSegment,
  unsealSegment,
} from '../../src/manifest/segment.ts';
import { mutation } from '../coding/compress/samples.ts';
import { fixedRandom } from '../helpers/fixed-random.ts';
import { OBJECT_KEY, sampleRoots, WRAP_KEY } from './samples.ts';

const RUNS = process.env.SLOW === '1' ? 50_000 : 1000;
const random = fixedRandom('tampering');
const ID = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const NAME_KEY = '77'.repeat(32);
const SECRETS = {
  leads: ['p1'],
  plainLens: [9],
  storedLens: [9],
  codecs: new Uint8Array(1),
  salts: new Uint8Array(16),
};
const CORRUPT = expect.objectContaining({ kind: 'Corrupt' });

const roots = sampleRoots();
const open = (bytes: Uint8Array): unknown => openRoot(bytes, WRAP_KEY);

type Path = readonly (string | number)[];

/** Every leaf of a node, by the way that leads to it. */
function* leaves(value: unknown, path: Path = []): Generator<Path> {
  if (Array.isArray(value)) for (const [i, item] of value.entries()) yield* leaves(item, [...path, i]);
  else if (isMap(value)) for (const [key, item] of Object.entries(value)) yield* leaves(item, [...path, key]);
  else yield path;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !(value instanceof Cid);

/** A copy with one place changed. */
function changeAt(value: unknown, path: Path, change: (leaf: unknown) => unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return change(value);
  if (Array.isArray(value)) return value.map((item, i) => (i === key ? changeAt(item, rest, change) : item));
  const map = value as Record<string, unknown>;
  return { ...map, [key]: changeAt(map[key], rest, change) };
}

/** Other values of the same type, and what a careless reader might take for the same. */
function others(leaf: unknown): unknown[] {
  if (typeof leaf === 'number')
    return [leaf + 1, Math.max(0, leaf - 1) === leaf ? 2 ** 20 : leaf - 1, 2 ** 53 - 1];
  if (typeof leaf === 'string') return [`${leaf}x`, leaf.slice(1), leaf.toUpperCase()];
  if (leaf instanceof Cid) return [new Cid(addressOf(new Uint8Array(32)))];
  const bytes = leaf as Uint8Array;
  return [0, bytes.length >> 1, bytes.length - 1].map((at) => bytes.map((b, i) => (i === at ? b ^ 1 : b)));
}

describe('a root', () => {
  test.each(Object.entries(roots))('%s: no public field can be changed', (_, bytes) => {
    open(bytes);
    const node = decodeNode(bytes);
    let changed = 0;
    for (const path of leaves(node)) {
      for (const index of [0, 1, 2]) {
        const tampered = encodeNode(changeAt(node, path, (leaf) => others(leaf)[index] ?? others(leaf)[0]));
        if (Buffer.from(tampered).equals(bytes)) continue;
        expect(() => open(tampered), path.join('.')).toThrowError(HoldfastError);
        changed++;
      }
    }
    expect(changed).toBeGreaterThan(60);
  });

  test.each(Object.entries(roots))(
    '%s: no field can be left out, added or given another type',
    (_, bytes) => {
      const node = decodeNode(bytes) as Record<string, unknown>;
      for (const key of Object.keys(node)) {
        const { [key]: gone, ...rest } = node;
        expect(() => open(encodeNode(rest)), `without ${key}`).toThrowError(CORRUPT);
        const wrong = typeof gone === 'string' ? 1 : 'text';
        expect(() => decodeRoot(encodeNode({ ...rest, [key]: wrong })), `another ${key}`).toThrowError(
          CORRUPT,
        );
        expect(() => decodeRoot(encodeNode({ ...rest, [key]: null })), `null as ${key}`).toThrowError(
          CORRUPT,
        );
      }
      for (const extra of ['x', '__proto__', 'constructor', '']) {
        const more = Object.fromEntries([...Object.entries(node), [extra, 1]]);
        expect(() => decodeRoot(encodeNode(more)), `with ${extra}`).toThrowError(CORRUPT);
      }
    },
  );

  test('lists cannot be reordered, and maps inside it are as strict', () => {
    const node = decodeNode(roots.linked) as Record<string, unknown[]>;
    const swap = { ...node, links: [...node.links!].reverse() };
    expect(() => open(encodeNode(swap))).toThrowError(CORRUPT);
    const more = changeAt(decodeNode(roots.whole), ['segment'], (s) => ({ ...(s as object), x: 1 }));
    expect(() => decodeRoot(encodeNode(more))).toThrowError(CORRUPT);
  });

  test('a newer version is named as such', () => {
    const node = decodeNode(roots.whole) as object;
    expect(() => decodeRoot(encodeNode({ ...node, version: 2 }))).toThrowError(
      expect.objectContaining({ kind: 'Corrupt', code: 'unknown_version' }),
    );
  });

  test('the vault that did not put it is refused as no reader', () => {
    expect(() => openRoot(roots.whole, OBJECT_KEY)).toThrowError(
      expect.objectContaining({ kind: 'PermissionDenied', code: 'not_a_reader' }),
    );
  });

  test('the MAC is checked, not only present: with a right commitment and wrap it still decides', () => {
    const node = decodeNode(roots.whole) as Record<string, unknown>;
    const tampered = encodeNode({ ...node, chunks: 2 });
    expect(() => open(tampered)).toThrowError(
      expect.objectContaining({ kind: 'Corrupt', code: 'authentication' }),
    );
  });

  test('a key that opens a wrap but is not the committed one is refused before anything is decrypted', () => {
    const node = decodeNode(roots.whole) as Record<string, unknown>;
    const { mac: _, ...fields } = node;
    const otherKey = new Uint8Array(32).fill(0x99);
    const aad = Uint8Array.from([1, 0xfd, ...ID]);
    const forged = { ...fields, wraps: [['vault', seal(WRAP_KEY, aad, otherKey, random)]] };
    const mac = keyedHash(deriveObjectKeys(otherKey).manifestMac, encodeNode(forged));
    expect(() => open(encodeNode({ ...forged, mac }))).toThrowError(/key commitment/);
  });

  test('parts sealed for one place do not open at another', () => {
    const keys = deriveObjectKeys(OBJECT_KEY);
    const whole = decodeNode(roots.whole) as Record<string, Uint8Array>;
    const index = encodeIndexNode(ID, [], keys.sealed, random);
    const swapped = { ...decodeIndexNode(index, ID), sealed: whole.sealed! };
    expect(() => unsealIndexNode(swapped, ID, keys.sealed)).toThrowError(CORRUPT);
    const record = decodeRoot(roots.whole).body;
    if (!('segment' in record)) throw new Error('the sample is one segment');
    expect(() => unsealSegment(keys.sealed, ID, { ...record.segment, sealed: whole.sealed! })).toThrowError(
      CORRUPT,
    );
  });
});

describe('damaged bytes', () => {
  const { body } = decodeRoot(roots.whole);
  const inside = 'segment' in body ? body.segment : (undefined as never);
  const nodes: Readonly<Record<string, readonly [Uint8Array, (bytes: Uint8Array) => unknown]>> = {
    root: [roots.whole, open],
    'linked root': [roots.linked, open],
    segment: [
      encodeSegmentNode(ID, { ...inside, sealed: sealSegment(OBJECT_KEY, ID, 0, SECRETS, random) }),
      (bytes) => unsealSegment(OBJECT_KEY, ID, decodeSegmentNode(bytes, ID, 3)),
    ],
    index: [
      encodeIndexNode(
        ID,
        [{ cid: new Cid(addressOf(new Uint8Array(32))), chunks: 1, plainBytes: 3 }],
        OBJECT_KEY,
        random,
      ),
      (bytes) => unsealIndexNode(decodeIndexNode(bytes, ID), ID, OBJECT_KEY),
    ],
    pointer: [
      sealPointer(
        {
          name: 'n',
          version: 1,
          manifest: undefined,
          writer: new Uint8Array(16),
          ancestors: new Uint8Array(0),
          size: 0,
          createdMs: 0,
        },
        NAME_KEY,
        OBJECT_KEY,
        random,
      ),
      (bytes) => openPointer(bytes, NAME_KEY, OBJECT_KEY),
    ],
  };

  // Nodes below a root are authentic by their addresses, which the root's MAC covers: by itself such a node may read.
  test.each(Object.entries(nodes))(
    '%s: is refused with a typed error, however it was damaged',
    (name, [whole, read]) => {
      const byAddress = name === 'segment' || name === 'index';
      fc.assert(
        fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
          const damaged = mutations.reduce<Uint8Array>((bytes, mutate) => mutate(bytes), whole);
          if (Buffer.from(damaged).equals(whole)) return;
          try {
            read(damaged);
          } catch (error) {
            expect(error).toBeInstanceOf(HoldfastError);
            return;
          }
          expect(byAddress).toBe(true);
        }),
        { numRuns: RUNS },
      );
    },
  );

  /** Any value in the place of any part: canonical CBOR that only the fields can refuse. */
  const part = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.integer(),
      fc.constantFrom(2 ** 53 - 1, 255, 256, 8192, 2 ** 25 + 1),
      fc.string({ unit: 'grapheme' }),
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(null, true, new Cid(addressOf(new Uint8Array(32)))),
      fc.array(tie('any'), { maxLength: 4 }),
      fc.dictionary(fc.constantFrom('version', 'links', 'level', '__proto__', 'x'), tie('any'), {
        noNullPrototype: true,
      }),
    ),
  })).any;

  test.each(['root', 'linked root', 'segment', 'index'])(
    '%s: strange values in canonical form are refused with a typed error, or read',
    (which) => {
      const [whole, read] = nodes[which]!;
      const node = decodeNode(whole);
      const places = [...leaves(node)].flatMap((path) => path.map((_, i) => path.slice(0, i + 1)));
      fc.assert(
        fc.property(fc.nat(), part, (place, value) => {
          const strange = encodeNode(changeAt(node, places[place % places.length]!, () => value));
          try {
            read(strange);
            decodeRoot(strange);
          } catch (error) {
            if (!isHoldfastError(error)) throw error;
          }
        }),
        { numRuns: RUNS },
      );
    },
  );

  test('a sealed part whose content is wrong is refused with a typed error', () => {
    const aad = Uint8Array.from([1, ...ID, ...new Uint8Array(8)]);
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('provider_chunks', 'stored_lens', 'codecs', 'salts', 'x'),
          fc.oneof(
            part,
            fc.constant([{ provider: 'p', chunk_indices: [0], chunk_lens: [1] }]),
            fc.constant([1024]),
            fc.constant(new Uint8Array(1)),
            fc.constant(new Uint8Array(16)),
          ),
          { noNullPrototype: true },
        ),
        (content) => {
          const sealed = seal(OBJECT_KEY, aad, encodeNode(content), random);
          try {
            unsealSegment(OBJECT_KEY, ID, { ...inside, sealed });
          } catch (error) {
            if (!isHoldfastError(error, 'Corrupt')) throw error;
          }
        },
      ),
      { numRuns: RUNS },
    );
  });
});
