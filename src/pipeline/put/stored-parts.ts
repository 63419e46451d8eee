import type { FileHandle } from 'node:fs/promises';
import { abortable, throwIfAborted } from '../../core/abort.ts';
import { addressOf } from '../../core/address.ts';
import type { Blake3Hasher } from '../../core/b3/blake3.ts';
import { equalBytes } from '../../core/bytes.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { CHECKS } from '../../core/straggler-policies.ts';
import { Stragglers } from '../../core/stragglers.ts';
import { deriveObjectKeys, type ObjectKeys } from '../../keys/derivation.ts';
import { Cid } from '../../manifest/cid.ts';
import type { Link } from '../../manifest/links.ts';
import { decodeSegmentNode, type SegmentRecord, unsealSegment } from '../../manifest/segment.ts';
import { viewSegment } from '../../object/places.ts';
import { certify } from '../../placement/certificate.ts';
import { domainOf, NOT_PLACED } from '../../placement/domains.ts';
import type { Provider } from '../../providers/provider.ts';
import { type BlobAt, claimedAmong, placeOf } from '../../records/claims.ts';
import type { JournalEntry } from '../../records/journal.ts';
import { placementOf, type ShardPlacement } from '../../records/shard-index.ts';
import {
  type FileVersion,
  type FinishedSegment,
  finishedSegments,
  type Unfinished,
} from '../../records/unfinished.ts';
import type { ShardMap, VaultContext } from '../context.ts';
import { slabBytes } from '../cpu/jobs.ts';
import { type ByteSource, fileFrom } from '../source.ts';
import { chunkLength } from './pack-draft.ts';
import { nodeCopies, type PutPlan } from './plan.ts';

/** Where the plaintext is hashed on from. */
export interface HashState {
  readonly hasher: Blake3Hasher;
  /** Of another implementation, where all that is written is verified. */
  readonly second: Blake3Hasher | undefined;
}

/** A segment that an earlier run stored. */
export interface StoredSegment {
  readonly firstChunk: number;
  /** Where it begins in the plaintext, and where it ends. */
  readonly start: number;
  readonly end: number;
  /** BLAKE3 of the plaintext up to its end. */
  readonly hash: Uint8Array;
  /** Whether the object ends there. */
  readonly last: boolean;
  readonly link: Link;
  readonly firstChunkBytes: number;
  readonly maxChunkLen: number;
  readonly placement: ShardPlacement;
  /** Of its record. */
  readonly key: string;
}

/** What an earlier run stored of an object. The hashes are of the plaintext up to the end of `beginning`. */
export interface StoredParts extends HashState {
  /** Segments from the object's first byte on; they were found to be made of this file. */
  readonly beginning: readonly StoredSegment[];
  /** Those behind a gap, in their order; that is still to be found. */
  readonly later: readonly StoredSegment[];
  /** What the providers hold of it; shards have bytes. */
  readonly held: readonly (BlobAt & { readonly length: number })[];
  /** Where its shards are, by place in `providers`. */
  readonly maps: readonly ShardMap[];
  /** Keys of the records of segments whose node has lost copies. */
  readonly lacking: readonly string[];
  /** Whether the object leads to a place, whether or not the blob is there. */
  leadsTo(blob: Pick<BlobAt, 'provider' | 'address'>): boolean;
}

/** Why an earlier run's work is of no use: the put begins anew. */
export interface OfNoUse {
  readonly why: string;
  /** Whether that may be otherwise later. */
  readonly isForNow: boolean;
}

/** The put that would go on. */
export interface ResumeRequest {
  readonly nameKey: string;
  readonly file: FileHandle;
  readonly version: FileVersion;
  readonly plan: PutPlan;
  readonly minTolerates: number;
  readonly signal: AbortSignal;
  /** Told how many bytes were hashed again so far. */
  readonly onRead: (bytes: number) => void;
}

/** Hashed at a time. */
const PIECE_BYTES = 1024 * 1024;

/** Goes through finished segments, for those whose packs are there and keep the promise. */
export class StoredCheck {
  readonly #context: VaultContext;
  readonly #request: ResumeRequest;
  readonly #journal: JournalEntry;
  readonly #unfinished: Unfinished;
  readonly #keys: ObjectKeys;
  readonly #providers: readonly Provider[];
  readonly #laggards: Stragglers;
  /** Asked no more. */
  readonly #silent = new Set<string>();
  readonly #beginning: StoredSegment[] = [];
  readonly #later: StoredSegment[] = [];
  readonly #held: (BlobAt & { readonly length: number })[] = [];
  readonly #maps = new Map<string, ShardMap>();
  readonly #lacking: string[] = [];
  readonly #places = new Set<string>();

  constructor(
    context: VaultContext,
    request: ResumeRequest,
    journal: JournalEntry,
    unfinished: Unfinished,
    providers: readonly Provider[],
  ) {
    this.#context = context;
    this.#request = request;
    this.#journal = journal;
    this.#unfinished = unfinished;
    this.#keys = deriveObjectKeys(unfinished.objectKey);
    this.#providers = providers;
    this.#laggards = new Stragglers(context.clock, CHECKS);
  }

  async run(): Promise<StoredParts | OfNoUse> {
    const { signal } = this.#request;
    const hashes = await hashesOf(this.#context);
    const reader = fileFrom(this.#request.file, this.#request.version, 0);
    try {
      const segments = finishedSegments(this.#context, this.#journal.id, this.#keys.sealed, { signal });
      for await (const { key, finished } of segments) {
        const record = this.#recordIn(finished);
        const segment = record && this.#segmentOf(record, finished, key);
        if (segment === undefined || !this.#fits(segment) || !(await this.#isHeld(finished, record!, key)))
          continue;
        const goesOn = this.#later.length === 0 && segment.start === (this.#latest?.end ?? 0);
        if (goesOn && !(await this.#hash(hashes, reader, segment)))
          return { why: 'the content of the file has changed', isForNow: false };
        (goesOn ? this.#beginning : this.#later).push(segment);
        if (segment.last) break;
      }
    } finally {
      this.#laggards.close();
    }
    if (this.#latest === undefined) return this.#nothing();
    return {
      ...hashes,
      beginning: this.#beginning,
      later: this.#later,
      held: this.#held,
      maps: [...this.#maps.values()],
      lacking: this.#lacking,
      leadsTo: (blob) => this.#places.has(placeOf(blob)),
    };
  }

  get #latest(): StoredSegment | undefined {
    return this.#later.at(-1) ?? this.#beginning.at(-1);
  }

  #nothing(): OfNoUse {
    if (this.#silent.size === 0)
      return { why: 'too little of what was stored is still at the providers', isForNow: false };
    const who = [...this.#silent].join(', ');
    return { why: `${who} did not say in time what is stored there`, isForNow: true };
  }

  /** Undefined when it cannot be read. */
  #recordIn({ node }: FinishedSegment): SegmentRecord | undefined {
    try {
      return decodeSegmentNode(node, this.#unfinished.objectId, this.#request.plan.code.totalShards);
    } catch (error) {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    }
  }

  #segmentOf(record: SegmentRecord, finished: FinishedSegment, key: string): StoredSegment | undefined {
    const { node, end, hash, last } = finished;
    try {
      const { plainLens } = unsealSegment(this.#keys.sealed, this.#unfinished.objectId, record);
      const plainBytes = plainLens.reduce((sum, length) => sum + length, 0);
      const cid = new Cid(addressOf(this.#context.blake3.hash(node)));
      const { code } = this.#request.plan;
      const { failureDomain } = this.#context.policy;
      return {
        placement: placementOf(viewSegment(record, code), failureDomain),
        ...{ key, end, hash, last, start: end - plainBytes, firstChunk: record.firstChunk },
        link: { cid, chunks: record.chunkLens.length, plainBytes },
        firstChunkBytes: plainLens[0]!,
        maxChunkLen: Math.max(...record.chunkLens),
      };
    } catch (error) {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    }
  }

  /** Whether it lies behind those before it, and chunks of a length that can be stored fill what is between. */
  #fits({ firstChunk, start, end, last }: StoredSegment): boolean {
    const { size } = this.#unfinished.source;
    if (last ? end !== size : end >= size) return false;
    const before = this.#latest;
    const bytes = start - (before?.end ?? 0);
    const chunks = firstChunk - (before === undefined ? 0 : before.firstChunk + before.link.chunks);
    if (chunks === 0 || bytes === 0) return chunks === 0 && bytes === 0;
    if (chunks < 0 || bytes < chunks) return false;
    const { code, placed } = this.#request.plan;
    const length = Math.ceil(bytes / chunks);
    return (
      chunkLength(length, code, placed) === length &&
      slabBytes(code, length) <= this.#context.arena.capacity / 4
    );
  }

  /** Whether its shards, as far as they are there, survive what is asked for. */
  async #isHeld({ node, copies }: FinishedSegment, segment: SegmentRecord, key: string): Promise<boolean> {
    const { policy, blake3 } = this.#context;
    const { minTolerates, plan } = this.#request;
    const { code, failureDomain } = policy;
    const address = addressOf(blake3.hash(node));
    const [packs, nodes] = await Promise.all([
      Promise.all(segment.packs.map((pack) => this.#has(pack, pack.length))),
      Promise.all(copies.map((provider) => this.#has({ provider, address }, node.length))),
    ]);
    throwIfAborted(this.#request.signal, 'put');
    const places = new Map(this.#providers.map(({ id }, place) => [id, place]));
    const of = segment.packs.map(({ provider }, i) => (packs[i] ? places.get(provider)! : NOT_PLACED));
    const maps = new Map<string, ShardMap>();
    for (let chunk = 0; chunk < segment.chunkLens.length; chunk++) {
      const row = segment.places.subarray(chunk * code.totalShards, (chunk + 1) * code.totalShards);
      const map = Uint8Array.from(row, (pack) => of[pack]!);
      maps.set(map.join(), map);
    }
    const placements = maps.values();
    const certificate = certify({ code, providers: this.#providers, failureDomain, placements });
    if (certificate.tolerates < Math.max(0, minTolerates)) return false;
    for (const [key, map] of maps) this.#maps.set(key, map);
    for (const pack of segment.packs) this.#places.add(placeOf(pack));
    for (const provider of copies) this.#places.add(placeOf({ provider, address }));
    segment.packs.forEach(({ provider, address: pack, length }, i) => {
      if (packs[i]) this.#held.push({ provider, address: pack, bytes: length, length });
    });
    const holders = copies.filter((_, i) => nodes[i]);
    for (const provider of holders) this.#held.push({ provider, address, bytes: 0, length: node.length });
    const domains = new Set(holders.map((id) => domainOf(this.#providers[places.get(id)!]!, failureDomain)));
    if (domains.size < nodeCopies(plan).needed) this.#lacking.push(key);
    return true;
  }

  /**
   * Whether a provider says that it has a blob, which nobody is about to delete. One that fails or is late is asked no
   * more, and has nothing.
   */
  async #has(blob: Pick<BlobAt, 'provider' | 'address'>, length: number): Promise<boolean> {
    const { provider: id, address } = blob;
    const provider = this.#providers.find((known) => known.id === id);
    if (provider === undefined || this.#silent.has(id)) return false;
    if ((await claimedAmong(this.#context, [placeOf(blob)], {})).length > 0) return false;
    const { clock, directory } = this.#context;
    const turn = this.#laggards.begin(this.#request.signal, 'put', () => {
      this.#silent.add(id);
      directory.late(id);
    });
    const started = clock.monotonic();
    try {
      const stat = provider.adapter.stat(address, { signal: turn.signal });
      const { size } = await abortable(stat, turn.signal);
      turn.progressed(clock.monotonic() - started);
      return size === length;
    } catch (error) {
      if (!isHoldfastError(error, 'NotFound')) this.#silent.add(id);
      return false;
    } finally {
      turn.end();
    }
  }

  async #hash(
    { hasher, second }: HashState,
    reader: ByteSource,
    { start, end, hash }: StoredSegment,
  ): Promise<boolean> {
    const { signal, onRead } = this.#request;
    const piece = new Uint8Array(PIECE_BYTES);
    for (let at = start; at < end; ) {
      const into = piece.subarray(0, Math.min(PIECE_BYTES, end - at));
      const length = await reader.read(into, signal);
      hasher.update(into.subarray(0, length));
      second?.update(into.subarray(0, length));
      at += length;
      onRead(at);
      if (length < into.length) return false;
    }
    return equalBytes(hasher.digest(), hash);
  }
}

/** Of an object from its first byte. */
export async function hashesOf({
  blake3,
  policy,
  secondBlake3,
}: Pick<VaultContext, 'blake3' | 'policy' | 'secondBlake3'>): Promise<HashState> {
  const second = policy.verifyWrites === 'full' ? (await secondBlake3()).createHasher() : undefined;
  return { hasher: blake3.createHasher(), second };
}
