import { equalBytes } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import { maxSegmentChunks } from '../../manifest/limits.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { Slab } from '../arena.ts';
import type { TransferContext } from '../context.ts';
import type { WriteCheck } from '../cpu/jobs.ts';
import { frameOffset, slabBytes } from '../cpu/jobs.ts';
import { kernelFault } from '../cpu/write-check.ts';
import type { ByteSource } from '../source.ts';
import { chunkLength, longestSegment } from './pack-draft.ts';
import { CodecMemory, type ReadChunk, SegmentBuilder } from './segment-builder.ts';
import type { SegmentWriter } from './segment-writer.ts';
import type { PutSession } from './session.ts';
import type { HashState, StoredSegment } from './stored-parts.ts';

export interface FeedResult {
  readonly size: number;
  readonly chunks: number;
  readonly plainHash: Uint8Array;
  readonly firstChunkBytes: number;
  /** Of the last chunk that was full; where none was, of the first. */
  readonly lastFullChunkBytes: number;
}

/**
 * What is read ahead of the encoder may take this part of the arena. Any more would only take the place of chunks that
 * are encoded, so that segments were sent before they are large.
 */
const READ_AHEAD = 1 / 3;

/** Of a sample this part of the chunks, in 1/256, is checked all the way back: about one of each segment. */
const SAMPLED = 8;
/** … and all chunks up to this length, where it costs next to nothing. */
const SAMPLE_ALL_BYTES = 32 * 1024;
const NOT_HASHED = new Uint8Array(0);
/** Read at a time of what was stored before. */
const PIECE_BYTES = 1024 * 1024;

function checkOf(
  { policy, random }: Pick<TransferContext, 'policy' | 'random'>,
  plainLength: number,
): WriteCheck {
  if (policy.verifyWrites === 'off') return 'none';
  if (policy.verifyWrites === 'full') return 'twice';
  return plainLength <= SAMPLE_ALL_BYTES || random(1)[0]! < SAMPLED ? 'way-back' : 'compression';
}

export interface FeedOptions {
  readonly source: ByteSource;
  /** Length of the object, where it is known to fit one chunk. */
  readonly onlyChunkBytes: number | undefined;
  /** Told how many bytes were read so far. */
  readonly onRead: (bytes: number) => void;
  readonly hashes: HashState;
  /** Segments that were stored before, in their order. */
  readonly stored: readonly StoredSegment[];
  /** Where the source begins in the object: behind those that are in `hashes` already. */
  readonly start: number;
  /** Whether the hash is wanted at the end of each segment. */
  readonly resumable: boolean;
}

/**
 * Reads the source chunk by chunk straight into slabs and hands full segments to the writer, whose errors are the
 * writer's to tell.
 */
export class ChunkFeed {
  readonly #session: PutSession;
  readonly #options: FeedOptions;
  readonly #writer: SegmentWriter;
  readonly #hashes: HashState;
  readonly #codecs: CodecMemory;
  /** Segments that were stored before, from the next one on. */
  readonly #stored: StoredSegment[];
  #builder: SegmentBuilder;
  /** First byte of the next chunk. */
  #peeked: number | undefined;
  #staged: Uint8Array = new Uint8Array(0);
  #size = 0;
  #lastFullChunkBytes: number | undefined;
  /** Bytes of the arena that hold chunks read and not yet encoded. */
  #unencoded = 0;
  #onEncoded = (): void => {};

  constructor(session: PutSession, writer: SegmentWriter, options: FeedOptions) {
    this.#session = session;
    this.#options = options;
    this.#writer = writer;
    this.#hashes = options.hashes;
    this.#codecs = new CodecMemory(session.context.policy.compression);
    this.#stored = [...options.stored];
    this.#builder = new SegmentBuilder(session, this.#codecs, 0);
  }

  async run(): Promise<FeedResult> {
    let first: number | undefined;
    const unsubscribe = this.#session.context.arena.onShort(() => this.#flush());
    try {
      for (let index = 0; ; ) {
        if (this.#stored[0]?.firstChunk === index) {
          const stored = this.#stored.shift()!;
          first ??= stored.firstChunkBytes;
          index = await this.#adopt(stored);
          if (stored.last) return this.#end(index, first);
          continue;
        }
        await this.#encoderKeepsUp();
        const chunk = await this.#readChunk(index++);
        first ??= chunk.plainLength;
        const last = this.#peeked === undefined;
        if (last && this.#stored.length > 0) throw sourceChanged();
        this.#add(chunk, last);
        if (!last) continue;
        this.#close(index);
        return this.#end(index, first);
      }
    } catch (error) {
      await this.#builder.release();
      throw error;
    } finally {
      unsubscribe();
    }
  }

  /**
   * Goes on behind a segment that was stored before.
   * @returns the index of the chunk behind it.
   */
  async #adopt(stored: StoredSegment): Promise<number> {
    const { firstChunk, end, hash, last, link, maxChunkLen, placement } = stored;
    this.#close(firstChunk);
    if (end <= this.#options.start) this.#size = end;
    else if (!(await this.#isRead(end, hash, last))) throw sourceChanged();
    this.#writer.adopt(link, maxChunkLen, placement);
    this.#builder = new SegmentBuilder(this.#session, this.#codecs, firstChunk + link.chunks);
    return firstChunk + link.chunks;
  }

  /** Whether the object up to some byte has this hash, and ends there or not. */
  async #isRead(end: number, hash: Uint8Array, last: boolean): Promise<boolean> {
    while (this.#size < end) {
      const piece = this.#staging(Math.min(PIECE_BYTES, end - this.#size));
      if ((await this.#read(piece)) < piece.length) return false;
    }
    return (this.#peeked === undefined) === last && equalBytes(this.#hashes.hasher.digest(), hash);
  }

  /** Encoding ends by itself, whatever others do, so this wait does too. */
  async #encoderKeepsUp(): Promise<void> {
    while (this.#unencoded > READ_AHEAD * this.#session.context.arena.capacity) {
      await new Promise<void>((resolve) => {
        this.#onEncoded = resolve;
      });
    }
  }

  /** A put waits for memory only while everything it holds is already being sent, so puts cannot deadlock. */
  async #readChunk(index: number): Promise<ReadChunk> {
    const startedMs = this.#session.context.clock.monotonic();
    const wanted = this.#chunkLength(index);
    const staged = this.#options.source.neverBlocks ? undefined : await this.#read(this.#staging(wanted));
    const slab = await this.#slab(wanted);
    try {
      const frame = frameOffset(this.#session.code, wanted);
      const into = slab.bytes.subarray(frame, frame + wanted);
      if (staged !== undefined) into.set(this.#staging(staged));
      const plainLength = staged ?? (await this.#read(into));
      if (plainLength === wanted) this.#lastFullChunkBytes = wanted;
      const check = checkOf(this.#session.context, plainLength);
      const goesBack = check === 'way-back' || check === 'twice';
      const hash = goesBack && this.#session.context.blake3.hash(into.subarray(0, plainLength));
      const soFar = this.#options.resumable ? this.#hashes.hasher.digest() : NOT_HASHED;
      const read = { index, slab, frame, plainLength, startedMs, check, plainHash: hash || NOT_HASHED };
      return { ...read, end: this.#size, hash: soFar };
    } catch (error) {
      this.#session.context.arena.release(slab);
      throw error;
    }
  }

  #end(chunks: number, first: number): FeedResult {
    const { hasher, second } = this.#hashes;
    const plainHash = hasher.digest();
    if (second !== undefined && !equalBytes(second.digest(), plainHash)) {
      throw kernelFault(`blake3 (${this.#session.context.blake3.name})`, 'the object has another hash');
    }
    return {
      size: this.#size,
      chunks,
      plainHash,
      firstChunkBytes: first,
      lastFullChunkBytes: this.#lastFullChunkBytes ?? first,
    };
  }

  #add(chunk: ReadChunk, last: boolean): void {
    if (this.#builder.length > 0 && this.#isFull(chunk.slab.length)) this.#close(chunk.index);
    const { length } = chunk.slab;
    this.#unencoded += length;
    void this.#builder.add(chunk, last).then(() => {
      this.#unencoded -= length;
      this.#onEncoded();
    });
    if (this.#session.context.arena.isShort) this.#flush();
  }

  /** Sends what is gathered so far, which frees its memory. */
  #flush(): void {
    if (this.#builder.length > 0) this.#close(this.#builder.firstChunk + this.#builder.length);
  }

  #close(nextChunk: number): void {
    const full = this.#builder;
    this.#builder = new SegmentBuilder(this.#session, this.#codecs, nextChunk);
    if (full.length > 0) this.#writer.write(full);
  }

  #isFull(more: number): boolean {
    const { context, code, placements } = this.#session;
    const { usable } = placements;
    const target = context.policy.packTargetBytes * Math.max(1, usable.length);
    // Half the arena, so that one segment fills while the one before is sent.
    const bound = Math.min(target, context.arena.capacity / 2, longestSegment(usable));
    return this.#builder.bytes + more > bound || this.#builder.length >= maxSegmentChunks(code.totalShards);
  }

  /** Memory for the next chunk. What is gathered so far is sent early rather than waited for in vain. */
  async #slab(plainLength: number): Promise<Slab> {
    const { context, code, signal } = this.#session;
    const { arena } = context;
    const length = slabBytes(code, plainLength);
    const slab = arena.tryAllocate(length);
    if (slab !== undefined) return slab;
    this.#flush();
    return timed(context, 'memory', () => arena.allocate(length, signal));
  }

  #chunkLength(index: number): number {
    const { code, context, placements } = this.#session;
    if (placements.usable.length === 0) {
      throw new HoldfastError('Unavailable', 'no provider is left', { code: 'not_enough_providers' });
    }
    const { onlyChunkBytes } = this.#options;
    const next = this.#stored[0];
    if (next !== undefined) return Math.ceil((next.start - this.#size) / (next.firstChunk - index));
    if (onlyChunkBytes !== undefined) return Math.max(1, onlyChunkBytes);
    const preferred = context.directory.preferredChunk(placements.keyProviderOf(index).id);
    return chunkLength(preferred, code, placements.usable);
  }

  /** Where a source that may keep us waiting, perhaps for the same memory, is read to first. */
  #staging(length: number): Uint8Array {
    if (this.#staged.length < length) this.#staged = new Uint8Array(length);
    return this.#staged.subarray(0, length);
  }

  async #read(into: Uint8Array): Promise<number> {
    let length = 0;
    if (this.#peeked !== undefined) into[length++] = this.#peeked;
    this.#peeked = undefined;
    const { context, signal } = this.#session;
    length += await timed(context, 'source', () => this.#options.source.read(into.subarray(length), signal));
    signal.throwIfAborted();
    await timed(context, 'object-hash', async () => {
      this.#hashes.hasher.update(into.subarray(0, length));
      this.#hashes.second?.update(into.subarray(0, length));
    });
    this.#size += length;
    this.#options.onRead(this.#size);
    if (length === into.length) await this.#peek();
    return length;
  }

  /** Looks whether another chunk follows: the encryption of this one says so. */
  async #peek(): Promise<void> {
    const next = new Uint8Array(1);
    if ((await this.#options.source.read(next, this.#session.signal)) === 1) this.#peeked = next[0];
    this.#session.signal.throwIfAborted();
  }
}

const sourceChanged = (): HoldfastError =>
  new HoldfastError('Conflict', 'the file has changed since a part of it was stored', {
    code: 'source_changed',
    hint: 'Put it again.',
  });
