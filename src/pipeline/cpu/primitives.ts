import type { Aead } from '../../coding/aead.ts';
import { secondAead, selectAead } from '../../coding/aead-select.ts';
import { type Codec, type CodecName, codecName } from '../../coding/compress/codec.ts';
import { selectCodec } from '../../coding/compress/select.ts';
import { createLinearCode } from '../../coding/erasure/code.ts';
import { type Coder, createCoder } from '../../coding/erasure/coder.ts';
import type { Kernel } from '../../coding/erasure/kernel.ts';
import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import type { CodeParams } from '../../coding/erasure/params.ts';
import { selectKernel } from '../../coding/erasure/select-kernel.ts';
import type { TileMemory } from '../../coding/erasure/xor-program.ts';
import type { Acceleration, OnUnfit } from '../../core/acceleration.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { secondBlake3, selectBlake3 } from '../../core/b3/select.ts';
import type { Clock } from '../../core/clock.ts';
import type { WasmMemory } from '../../core/wasm.ts';

/** What the CPU stage computes with, chosen once per thread. */
export interface Primitives {
  readonly memory: Uint8Array;
  readonly blake3: Blake3;
  readonly aead: Aead;
  codec(name: CodecName, level: number): Promise<Codec>;
  codecById(id: number): Promise<Codec>;
  code(params: CodeParams): LinearCode;
  /** Of the erasure code, chosen and tested when the first shard must be computed: a healthy read needs none. */
  kernel(): Promise<Kernel>;
  coder(params: CodeParams): Promise<Coder>;
  /** Milliseconds from any start. */
  now(): number;
  /** Memory of this thread for what is needed until the next call with the same purpose. */
  scratch(bytes: number, purpose?: ScratchPurpose): Uint8Array;
  /** Other implementations than those in use, where there are any: for checks. */
  readonly second: {
    /** @param bytes to be hashed in all: many are worth the start of a faster implementation. */
    blake3(bytes: number): Promise<Blake3>;
    /** @param bytes of a message, likewise. */
    aead(bytes: number): Promise<Aead>;
  };
}

type ScratchPurpose = 'work' | 'check';

export async function loadPrimitives(
  memory: WasmMemory,
  acceleration: Acceleration,
  clock: Clock,
  tiles?: TileMemory,
  onUnfit?: OnUnfit,
): Promise<Primitives> {
  const blake3 = await selectBlake3(acceleration, onUnfit);
  const aead = await selectAead(acceleration, blake3, onUnfit);
  let selected: Promise<Kernel> | undefined;
  const kernel = (): Promise<Kernel> => {
    selected ??= selectKernel({ ...acceleration, memory, tiles, onUnfit });
    return selected;
  };
  // Copies are copied as fast by any kernel, and objects that are kept as copies are small.
  const kernelFor = ({ algorithm }: CodeParams): Promise<Kernel> =>
    algorithm === 'replica' ? selectKernel({ ...PORTABLE, memory }) : kernel();
  const codecs = new Map<string, Promise<Codec>>();
  const codes = new Map<string, LinearCode>();
  const coders = new Map<string, Promise<Coder>>();
  const code = (params: CodeParams): LinearCode =>
    remember(codes, JSON.stringify(params), () => createLinearCode(params));
  const codec = (name: CodecName, level: number): Promise<Codec> =>
    remember(codecs, `${name} ${level}`, () => selectCodec(name, level, acceleration, onUnfit));
  const spare: Record<ScratchPurpose, Uint8Array> = { work: new Uint8Array(0), check: new Uint8Array(0) };
  const seconds = new Map<string, Promise<unknown>>();
  const second = <T>(what: string, load: () => Promise<T>): Promise<T> =>
    remember(seconds as Map<string, Promise<T>>, what, load);
  return {
    memory: new Uint8Array(memory.buffer),
    blake3,
    aead,
    kernel,
    codec,
    codecById: (id) => codec(codecName(id), 1),
    code,
    coder: (params) =>
      remember(coders, JSON.stringify(params), async () =>
        createCoder(code(params), await kernelFor(params)),
      ),
    now: () => clock.monotonic(),
    scratch(bytes, purpose = 'work') {
      if (spare[purpose].length < bytes) spare[purpose] = new Uint8Array(bytes);
      return spare[purpose];
    },
    second: {
      blake3: (bytes) =>
        bytes < LONG_MESSAGE
          ? second('blake3', () => secondBlake3(blake3, PORTABLE))
          : second('long blake3', () => secondBlake3(blake3, acceleration)),
      aead: (bytes) =>
        bytes < LONG_MESSAGE
          ? second('aead', () => secondAead(aead, PORTABLE, blake3))
          : second('long aead', () => secondAead(aead, acceleration, blake3)),
    },
  };
}

/** From here on a start of some ten milliseconds is made up for by the speed. */
const LONG_MESSAGE = 256 * 1024;
const PORTABLE: Acceleration = { native: false, wasm: false };

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
