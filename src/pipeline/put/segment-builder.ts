import { CODEC_IDS } from '../../coding/compress/codec.ts';
import { shardStride } from '../../coding/erasure/shape.ts';
import { accountFor } from '../accounting.ts';
import type { Slab } from '../arena.ts';
import type { EncodeResult, WriteCheck } from '../cpu/jobs.ts';
import type { PutSession } from './session.ts';

/** A chunk that was read and is being, or has been, encoded in its slab. */
export interface BuiltChunk {
  readonly index: number;
  readonly slab: Slab;
  readonly lead: string;
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
}

/** Gathers consecutive chunks until they make packs worth sending. */
export class SegmentBuilder {
  readonly firstChunk: number;
  readonly #session: PutSession;
  readonly #chunks: Promise<BuiltChunk>[] = [];
  readonly #slabs: Map<number, Slab> = new Map();
  /** Bytes of the arena held. */
  bytes = 0;

  constructor(session: PutSession, firstChunk: number) {
    this.#session = session;
    this.firstChunk = firstChunk;
  }

  get length(): number {
    return this.#chunks.length;
  }

  /** Resolves once the chunk is encoded, and holds only the memory that its shards take, or has failed. */
  async add(chunk: ReadChunk, last: boolean): Promise<void> {
    this.bytes += chunk.slab.length;
    this.#slabs.set(chunk.index, chunk.slab);
    const building = this.#encode(chunk, last);
    this.#chunks.push(building);
    await building.catch(() => {}); // reported by whoever awaits the segment
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
    const { context, keys, objectId, code, codecs, signal } = this.#session;
    const lead = this.#session.keyProviderOf(index).id;
    const salt = context.random(16);
    const started = context.clock.monotonic();
    // The signal is not passed on: a job cut off in mid-flight would still write to a slab given to someone else.
    signal.throwIfAborted();
    if (this.#session.slabBytes(plainLength) > slab.length)
      throw new RangeError('the slab has no room for the shards');
    const codec = codecs.codecFor(index);
    const encoded = await context.cpu.encode({
      code: code.params,
      key: keys.chunkKey(lead, salt, index),
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
    codecs.learn(codec, encoded.codec !== CODEC_IDS.none);
    accountFor(context, started, encoded.spent);
    const shards = encoded.digests.length / 32;
    const kept = context.arena.shrink(slab, shards * shardStride(encoded.shardLength));
    this.bytes -= slab.length - kept.length;
    this.#slabs.set(index, kept);
    context.metrics.chunkSize(plainLength);
    return { index, slab: kept, lead, salt, plainLength, encoded, startedMs };
  }
}
