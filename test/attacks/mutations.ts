import { Cid } from '../../src/manifest/cid.ts';
import { decodeNode, encodeNode } from '../../src/manifest/dag-cbor.ts';

/** Small and fast, and the same run again from the same seed. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }
}

/** Heads that claim far more than there is: lists, maps, byte strings and texts of up to 2^64 - 1, and deep nesting. */
const BOMBS: readonly (readonly number[])[] = [
  [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xbb, 0x00, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0x5b, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00],
  [0x7a, 0xff, 0xff, 0xff, 0xff],
  [0x9a, 0x00, 0x03, 0x00, 0x00],
  [0x9f],
  [0xbf],
  [0xd8, 0x2a],
  [0xc2, 0x58, 0xff],
  [0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
  [0xf7],
  new Array<number>(200).fill(0x81),
];

/** One to three changes to the bytes themselves. */
export function mutateBytes(bytes: Uint8Array, dice: SeededRandom): Uint8Array {
  let out = bytes;
  for (let left = 1 + dice.below(3); left > 0; left--) {
    const at = dice.below(out.length + 1);
    const [before, after] = [out.subarray(0, at), out.subarray(at)];
    const change = dice.below(6);
    if (change === 0) out = Buffer.concat([before, dice.bytes(1 + dice.below(8)), after]);
    else if (change === 1) out = Buffer.concat([before, after.subarray(1 + dice.below(16))]);
    else if (change === 2) out = Uint8Array.from(before);
    else if (change === 3) out = Buffer.concat([before, Uint8Array.from(dice.of(BOMBS)), after.subarray(1)]);
    else {
      out = Uint8Array.from(out);
      if (out.length > 0) out[at % out.length]! ^= 1 << dice.below(8);
    }
  }
  return out;
}

type Tree = Record<string, unknown> | unknown[];

/** One to three changes to the values, in canonical form again: what a hostile writer with a key would make. */
export function mutateValue(bytes: Uint8Array, dice: SeededRandom): Uint8Array {
  const root = decodeNode(bytes) as Tree;
  for (let left = 1 + dice.below(3); left > 0; left--) mutateOnce(root, dice);
  return encodeNode(root);
}

function mutateOnce(root: Tree, dice: SeededRandom): void {
  let tree = root;
  for (;;) {
    const keys = Object.keys(tree);
    if (keys.length === 0) return;
    const key = dice.of(keys);
    const value = (tree as Record<string, unknown>)[key];
    const isTree =
      typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !(value instanceof Cid);
    if (isTree && dice.below(4) > 0) tree = value as Tree;
    else {
      change(tree, key, value, dice);
      return;
    }
  }
}

function change(tree: Tree, key: string, value: unknown, dice: SeededRandom): void {
  const all = tree as Record<string, unknown>;
  const kind = dice.below(5);
  if (Array.isArray(tree)) {
    if (kind === 0) tree.splice(Number(key), 1);
    else if (kind === 1) tree.push(...new Array<unknown>(1 + dice.below(300)).fill(value));
    else tree[Number(key)] = strange(value, dice);
  } else if (kind === 0) delete all[key];
  else if (kind === 1) add(all, dice.of(['', 'x', `${key}_`, '__proto__', 'constructor', 'length']), value);
  else all[key] = strange(value, dice);
}

/** Assigned, `__proto__` would be no field. */
const add = (tree: object, key: string, value: unknown): unknown =>
  Object.defineProperty(tree, key, { value, enumerable: true, configurable: true, writable: true });

function strange(value: unknown, dice: SeededRandom): unknown {
  if (typeof value === 'number' && dice.below(2) === 0) {
    return dice.of(
      [value + 1, value - 1, -value, 0, 2 ** 31, 2 ** 32, 2 ** 53 - 1, value * 2, value * 512].filter(
        Number.isSafeInteger,
      ),
    );
  }
  if (value instanceof Uint8Array && dice.below(2) === 0) {
    return dice.of([
      value.subarray(1),
      Buffer.concat([value, value]),
      mutateBytes(value, dice),
      new Uint8Array(0),
    ]);
  }
  return dice.of<unknown>([
    null,
    true,
    0,
    -1,
    255,
    65_535,
    2 ** 40,
    '',
    'x'.repeat(300),
    'lrc',
    'replica',
    '__proto__',
    new Uint8Array(0),
    dice.bytes(32),
    [],
    [[]],
    {},
    [null],
    new Array<number>(1000).fill(1),
    Cid.fromBytes(Uint8Array.from([0x01, 0x71, 0x1e, 0x20, ...dice.bytes(32)])),
  ]);
}
