import type { Aead } from '../../coding/aead.ts';
import { type Codec, type CodecName, codecName } from '../../coding/compress/codec.ts';
import { selectCodec } from '../../coding/compress/select.ts';
import { createLinearCode } from '../../coding/erasure/code.ts';
import { type Coder, createCoder } from '../../coding/erasure/coder.ts';
import { type Kernel, selectKernel } from '../../coding/erasure/kernel.ts';
import type { CodeParams } from '../../coding/erasure/params.ts';
import type { TileMemory } from '../../coding/erasure/tile-memory.ts';
import type { Acceleration } from '../../core/acceleration.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { selectBlake3 } from '../../core/b3/select.ts';
import type { Clock } from '../../core/clock.ts';
import type { WasmMemory } from '../../core/wasm.ts';

/** What the CPU stage computes with, chosen once per thread. */
export interface Primitives {
  readonly memory: Uint8Array;
  readonly blake3: Blake3;
  readonly aead: Aead;
  readonly kernel: Kernel;
  codec(name: CodecName, level: number): Promise<Codec>;
  codecById(id: number): Promise<Codec>;
  coder(code: CodeParams): Coder;
  /** Milliseconds from any start. */
  now(): number;
  /** Memory of this thread for what is needed until the next call. */
  scratch(bytes: number): Uint8Array;
}

export async function selectAead(acceleration: Acceleration): Promise<Aead> {
  if (acceleration.native) return (await import('../../coding/aead-node.ts')).nodeAead;
  if (acceleration.wasm) return (await import('../../coding/aead-sodium.ts')).createSodiumAead();
  return (await import('../../coding/aead-portable.ts')).portableAead;
}

export async function loadPrimitives(
  memory: WasmMemory,
  acceleration: Acceleration,
  clock: Clock,
  tiles?: TileMemory,
): Promise<Primitives> {
  const [blake3, aead, kernel] = await Promise.all([
    selectBlake3(acceleration),
    selectAead(acceleration),
    selectKernel({ ...acceleration, memory, tiles }),
  ]);
  const codecs = new Map<string, Promise<Codec>>();
  const coders = new Map<string, Coder>();
  const codec = (name: CodecName, level: number): Promise<Codec> =>
    remember(codecs, `${name} ${level}`, () => selectCodec(name, level, acceleration));
  let spare = new Uint8Array(0);
  return {
    memory: new Uint8Array(memory.buffer),
    blake3,
    aead,
    kernel,
    codec,
    codecById: (id) => codec(codecName(id), 1),
    coder: (code) =>
      remember(coders, JSON.stringify(code), () => createCoder(createLinearCode(code), kernel)),
    now: () => clock.monotonic(),
    scratch(bytes) {
      if (spare.length < bytes) spare = new Uint8Array(bytes);
      return spare;
    },
  };
}

/** Manifests choose codes and codecs, so what is kept for them is bounded. */
const MAX_REMEMBERED = 32;

function remember<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    if (map.size >= MAX_REMEMBERED) map.delete(map.keys().next().value!);
    map.set(key, value);
  }
  return value;
}
