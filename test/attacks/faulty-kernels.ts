import { vi } from 'vitest';
import type { Aead } from '../../src/coding/aead.ts';
import type { Codec } from '../../src/coding/compress/codec.ts';
import type { Kernel } from '../../src/coding/erasure/kernel.ts';
import type { Blake3 } from '../../src/core/b3/blake3.ts';

/** Where a bit is flipped. All but the last two are outputs. */
export const TARGETS = [
  'blake3 hash',
  'blake3 of parts',
  'blake3 hasher',
  'cipher: ciphertext',
  'cipher: tag',
  'decipher: plaintext',
  'zstd: frame',
  'zstd: plaintext',
  'deflate: stream',
  'deflate: plaintext',
  'erasure kernel',
  'zstd: a copy of its input',
  'zstd: its input in place',
] as const;
export type Target = (typeof TARGETS)[number];

/** One bit at a random place of one function's calls: every call, or one in so many. */
export class Fault {
  target: Target | undefined;
  every = 1;
  hits = 0;
  #calls = 0;
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }

  arm(target: Target, every: number): void {
    Object.assign(this, { target, every, hits: 0 });
    this.#calls = 0;
  }

  rest(): void {
    this.target = undefined;
  }

  /** Whether this call goes wrong. */
  strikes(target: Target): boolean {
    if (this.target !== target) return false;
    // Not every n-th exactly: calls come in patterns.
    const strikes =
      this.every === 1 || this.#random(this.every) === 0 || ++this.#calls % (4 * this.every) === 0;
    if (strikes) this.hits++;
    return strikes;
  }

  flip(bytes: Uint8Array): void {
    if (bytes.length > 0) bytes[this.#random(bytes.length)]! ^= 1 << this.#random(8);
  }

  #random(below: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }
}

/** From here on the accelerated functions, wherever they are loaded, go wrong as `fault` says. */
export function mockKernels(fault: Fault): void {
  vi.doMock('../../src/core/b3/native.ts', async (actual) => {
    const { nativeBlake3 } = await actual<typeof import('../../src/core/b3/native.ts')>();
    return { nativeBlake3: faultyBlake3(nativeBlake3, fault) };
  });
  vi.doMock('../../src/coding/aead-node.ts', async (actual) => {
    const { nodeAead } = await actual<typeof import('../../src/coding/aead-node.ts')>();
    return { nodeAead: faultyAead(nodeAead, fault) };
  });
  vi.doMock('../../src/coding/compress/zstd.ts', async (actual) => {
    const zstd = await actual<typeof import('../../src/coding/compress/zstd.ts')>();
    const wrap = (codec: Codec): Codec => faultyCodec(codec, fault, 'zstd: frame', 'zstd: plaintext');
    return { ...zstd, nativeZstd: (level: number) => zstd.nativeZstd(level).map(wrap) };
  });
  vi.doMock('../../src/coding/compress/deflate.ts', async (actual) => {
    const deflate = await actual<typeof import('../../src/coding/compress/deflate.ts')>();
    return {
      ...deflate,
      nodeDeflate: (level: number) =>
        faultyCodec(deflate.nodeDeflate(level), fault, 'deflate: stream', 'deflate: plaintext'),
    };
  });
  vi.doMock('../../src/coding/erasure/kernel-wasm.ts', async (actual) => {
    const { wasmKernel } = await actual<typeof import('../../src/coding/erasure/kernel-wasm.ts')>();
    return {
      wasmKernel: (...made: Parameters<typeof wasmKernel>) => faultyKernel(wasmKernel(...made), fault),
    };
  });
}

function faultyBlake3(right: Blake3, fault: Fault): Blake3 {
  const wrong = (target: Target, digest: Uint8Array): Uint8Array => {
    if (fault.strikes(target)) fault.flip(digest);
    return digest;
  };
  return {
    ...right,
    hash: (data) => wrong('blake3 hash', right.hash(data)),
    hashParts: (parts) => wrong('blake3 of parts', right.hashParts(parts)),
    createHasher() {
      const hasher = right.createHasher();
      return { update: (data) => hasher.update(data), digest: () => wrong('blake3 hasher', hasher.digest()) };
    },
  };
}

function faultyAead(right: Aead, fault: Fault): Aead {
  return {
    name: right.name,
    seal(key, aad, plain, into = [plain]) {
      const tag = right.seal(key, aad, plain, into);
      if (fault.strikes('cipher: tag')) fault.flip(tag);
      if (fault.strikes('cipher: ciphertext')) fault.flip(into[into.length - 1]!);
      return tag;
    },
    open(key, aad, sealed, tag, into) {
      right.open(key, aad, sealed, tag, into);
      if (fault.strikes('decipher: plaintext')) fault.flip(into ?? (sealed as Uint8Array));
    },
  };
}

function faultyCodec(right: Codec, fault: Fault, written: Target, read: Target): Codec {
  return {
    ...right,
    compress(plain, into) {
      let input = plain;
      if (right.name === 'zstd' && fault.strikes('zstd: its input in place')) fault.flip(plain);
      if (right.name === 'zstd' && fault.strikes('zstd: a copy of its input')) {
        input = plain.slice();
        fault.flip(input);
      }
      const out = right.compress(input, into);
      if (fault.strikes(written)) fault.flip(out);
      return out;
    },
    decompress(compressed, maxLength, into) {
      const out = right.decompress(compressed, maxLength, into);
      if (fault.strikes(read)) fault.flip(out);
      return out;
    },
  };
}

function faultyKernel(right: Kernel, fault: Fault): Kernel {
  return {
    ...right,
    async run(program, offsets, shardLength) {
      await right.run(program, offsets, shardLength);
      if (!fault.strikes('erasure kernel')) return;
      const output = program.outputs[fault.hits % program.outputs.length]!;
      fault.flip(new Uint8Array(right.memory.buffer, offsets[output]!, shardLength));
    },
  };
}
