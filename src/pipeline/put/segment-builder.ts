import { CODEC_IDS, type CodecName } from '../../coding/compress/codec.ts';
import { shardStride } from '../../coding/erasure/shape.ts';
import type { Slab } from '../arena.ts';
import type { EncodeResult, WriteCheck } from '../cpu/jobs.ts';
import { accountFor, slabBytes } from '../cpu/jobs.ts';
import type { PutSession } from './session.ts';

/** A chunk that was read and is being, or has been, encoded in its slab. */
export interface BuiltChunk {
  readonly index: number;
  readonly slab: Slab;
  /** The provider that its key is made for. */
  readonly keyProvider: string;
  readonly salt: Uint8Array;
  readonly plainLength: number;
  readonly encoded: EncodeResult;
  /** When its first byte was asked for. */
  readonly startedMs: number;
}

export interface ReadChunk {
  readonly index: number;
  readonly slab: Slab;
  /** Offset of the plaintext in the slab. */
  readonly frame: number;
  readonly plainLength: number;
  readonly check: WriteCheck;
  /** BLAKE3 of the plaintext as it was read, where the whole is checked. */
  readonly plainHash: Uint8Array;
  readonly startedMs: number;
  /** Where it ends in the plaintext, and the hash of all before that; empty where nobody needs it. */
  readonly end: number;
  readonly hash: Uint8Array;
}

/** How a segment ends: see {@link ReadChunk}. */
export interface SegmentTail {
  readonly end: number;
  readonly hash: Uint8Array;
  /** Whether the object ends there too. */
  readonly last: boolean;
}

/** Gathers consecutive chunks until they make packs worth sending. */
export class SegmentBuilder {
  readonly firstChunk: number;
  readonly #session: PutSession;
  readonly #codecs: CodecMemory;
  readonly #chunks: Promise<BuiltChunk>[] = [];
  readonly #slabs: Map<number, Slab> = new Map();
  /** Bytes of the arena held. */
  bytes = 0;
  #tail: SegmentTail = { end: 0, hash: new Uint8Array(0), last: false };

  constructor(session: PutSession, codecs: CodecMemory, firstChunk: number) {
    this.#session = session;
    this.#codecs = codecs;
    this.firstChunk = firstChunk;
  }

  get length(): number {
    return this.#chunks.length;
  }

  get tail(): SegmentTail {
    return this.#tail;
  }

  /** Resolves once the chunk is encoded, and holds only the memory that its shards take, or has failed. */
  async add(chunk: ReadChunk, last: boolean): Promise<void> {
    this.bytes += chunk.slab.length;
    this.#tail = { end: chunk.end, hash: chunk.hash, last };
    this.#slabs.set(chunk.index, chunk.slab);
    const building = this.#encode(chunk, last);
    this.#chunks.push(building);
    await building.catch(() => {}); // the segment's writer reports it
  }

  /** All chunks in order, encoded. */
  async finished(): Promise<BuiltChunk[]> {
    return Promise.all(this.#chunks);
  }

  /** Gives the memory back, once nothing works in it any more. */
  async release(): Promise<void> {
    await Promise.allSettled(this.#chunks);
    for (const slab of this.#slabs.values()) this.#session.context.arena.release(slab);
    this.#slabs.clear();
  }

  async #encode(chunk: ReadChunk, last: boolean): Promise<BuiltChunk> {
    const { index, slab, frame, plainLength, startedMs, check, plainHash } = chunk;
    const { context, keys, objectId, code, placements, signal } = this.#session;
    const keyProvider = placements.keyProviderOf(index).id;
    const salt = context.random(16);
    const started = context.clock.monotonic();
    // The signal is not passed on: a job cut off in mid-flight would still write to a slab given to someone else.
    signal.throwIfAborted();
    if (slabBytes(code, plainLength) > slab.length)
      throw new RangeError('the slab has no room for the shards');
    const codec = this.#codecs.codecFor(index);
    const encoded = await context.cpu.encode({
      code: code.params,
      key: keys.chunkKey(keyProvider, salt, index),
      objectId,
      index,
      last,
      plainLength,
      base: slab.offset,
      frame: slab.offset + frame,
      codec,
      level: context.policy.compressionLevel,
      check,
      plainHash,
      seed: new DataView(context.random(4).buffer).getInt32(0),
    });
    this.#codecs.learn(codec, encoded.codec !== CODEC_IDS.none);
    accountFor(context, started, encoded.spent);
    const shards = encoded.digests.length / 32;
    const kept = context.arena.shrink(slab, shards * shardStride(encoded.shardLength));
    this.bytes -= slab.length - kept.length;
    this.#slabs.set(index, kept);
    context.metrics.chunkSize(plainLength);
    return { index, slab: kept, keyProvider, salt, plainLength, encoded, startedMs };
  }
}

/** So many chunks in a row that did not shrink: the object probably does not. */
const CONVINCED = 8;
/** From then on one chunk of so many is tried, in case what follows is of another kind. */
const RETRY_EVERY = 16;

/** Which codec an object's next chunk is worth. Chunks are encoded side by side, so what is known lags a little. */
export class CodecMemory {
  readonly #codec: CodecName;
  #unshrunk = 0;

  constructor(codec: CodecName) {
    this.#codec = codec;
  }

  codecFor(chunk: number): CodecName {
    return this.#unshrunk < CONVINCED || chunk % RETRY_EVERY === 0 ? this.#codec : 'none';
  }

  /** @param tried the codec asked for; @param shrunk whether the chunk became shorter. */
  learn(tried: CodecName, shrunk: boolean): void {
    if (shrunk) this.#unshrunk = 0;
    else if (tried !== 'none') this.#unshrunk++;
  }
}
