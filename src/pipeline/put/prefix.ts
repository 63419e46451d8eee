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
import { certify } from '../../placement/certificate.ts';
import { domainOf, NOT_PLACED } from '../../placement/domains.ts';
import type { Provider } from '../../providers/provider.ts';
import { type BlobAt, claimedAmong } from '../../records/claims.ts';
import type { JournalEntry } from '../../records/journal.ts';
import {
  type FileVersion,
  type FinishedSegment,
  finishedSegments,
  type Unfinished,
} from '../../records/unfinished.ts';
import type { ShardMap, VaultContext } from '../context.ts';
import { type ByteSource, fileFrom } from '../source.ts';
import { nodeCopies, type PutPlan } from './plan.ts';

/** Where the plaintext is hashed on from. */
export interface HashState {
  readonly hasher: Blake3Hasher;
  /** Of another implementation, where all that is written is verified. */
  readonly second: Blake3Hasher | undefined;
}

/** The beginning of an object, as an earlier run stored it. */
export interface StoredPrefix extends HashState {
  readonly size: number;
  readonly chunks: number;
  readonly firstChunkBytes: number;
  readonly maxChunkLen: number;
  /** Whether the object ends here. */
  readonly isAll: boolean;
  readonly links: readonly Link[];
  /** Where each of them ends in the plaintext. */
  readonly ends: readonly number[];
  /** What the providers hold of it; shards have bytes. */
  readonly held: readonly (BlobAt & { readonly length: number })[];
  /** Where its shards are, by place in `providers`. */
  readonly maps: readonly ShardMap[];
  /** Of which segments, by number, the node has lost copies. */
  readonly lacking: readonly number[];
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

/** Goes through finished segments as long as their packs are there, keep the promise, and were made of this file. */
export class PrefixCheck {
  readonly #context: VaultContext;
  readonly #request: ResumeRequest;
  readonly #journal: JournalEntry;
  readonly #unfinished: Unfinished;
  readonly #keys: ObjectKeys;
  readonly #providers: readonly Provider[];
  readonly #laggards: Stragglers;
  /** Asked no more. */
  readonly #silent = new Set<string>();
  readonly #links: Link[] = [];
  readonly #ends: number[] = [];
  readonly #held: (BlobAt & { readonly length: number })[] = [];
  readonly #maps = new Map<string, ShardMap>();
  readonly #lacking: number[] = [];
  readonly #places = new Set<string>();
  #size = 0;
  #chunks = 0;
  #firstChunkBytes = 0;
  #maxChunkLen = 0;
  #isAll = false;

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

  async run(): Promise<StoredPrefix | OfNoUse> {
    const { signal } = this.#request;
    const hashes = await hashesOf(this.#context);
    const reader = fileFrom(this.#request.file, this.#request.version, 0);
    try {
      const segments = finishedSegments(this.#context, this.#journal.id, this.#keys.sealed, { signal });
      for await (const finished of segments) {
        const segment = this.#segmentIn(finished);
        if (segment === undefined || !(await this.#isHeld(finished, segment))) break;
        if (!(await this.#hash(hashes, reader, finished)))
          return { why: 'the content of the file has changed', isForNow: false };
        this.#add(finished, segment);
        if (finished.last) break;
      }
    } finally {
      this.#laggards.close();
    }
    if (this.#links.length === 0) return this.#nothing();
    return {
      ...hashes,
      size: this.#size,
      chunks: this.#chunks,
      firstChunkBytes: this.#firstChunkBytes,
      maxChunkLen: this.#maxChunkLen,
      isAll: this.#isAll,
      links: this.#links,
      ends: this.#ends,
      held: this.#held,
      maps: [...this.#maps.values()],
      lacking: this.#lacking,
      leadsTo: (blob) => this.#places.has(placeOf(blob)),
    };
  }

  #nothing(): OfNoUse {
    if (this.#silent.size === 0)
      return { why: 'too little of what was stored is still at the providers', isForNow: false };
    const who = [...this.#silent].join(', ');
    return { why: `${who} did not say in time what is stored there`, isForNow: true };
  }

  /** Undefined unless it goes on where the one before it ended. */
  #segmentIn({ node, end, last }: FinishedSegment): SegmentRecord | undefined {
    const { objectId, source } = this.#unfinished;
    try {
      const segment = decodeSegmentNode(node, objectId, this.#context.policy.code.totalShards);
      const fits = end > this.#size && (last ? end === source.size : end < source.size);
      return fits && segment.firstChunk === this.#chunks ? segment : undefined;
    } catch (error) {
      if (isHoldfastError(error, 'Corrupt')) return undefined;
      throw error;
    }
  }

  /** Whether its shards, as far as they are there, survive what is asked for. */
  async #isHeld({ node, copies }: FinishedSegment, segment: SegmentRecord): Promise<boolean> {
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
    if (domains.size < nodeCopies(plan).needed) this.#lacking.push(this.#links.length);
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
    { end, hash }: FinishedSegment,
  ): Promise<boolean> {
    const { signal, onRead } = this.#request;
    const piece = new Uint8Array(PIECE_BYTES);
    for (let at = this.#size; at < end; ) {
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

  #add({ node, end, last }: FinishedSegment, segment: SegmentRecord): void {
    const { blake3 } = this.#context;
    const chunks = segment.chunkLens.length;
    if (this.#chunks === 0) {
      const { plainLens } = unsealSegment(this.#keys.sealed, this.#unfinished.objectId, segment);
      this.#firstChunkBytes = plainLens[0]!;
    }
    const cid = new Cid(addressOf(blake3.hash(node)));
    this.#ends.push(end);
    this.#links.push({ cid, chunks, plainBytes: end - this.#size });
    this.#maxChunkLen = Math.max(this.#maxChunkLen, ...segment.chunkLens);
    this.#size = end;
    this.#chunks += chunks;
    this.#isAll = last;
  }
}

const placeOf = ({ provider, address }: Pick<BlobAt, 'provider' | 'address'>): string =>
  `${provider}/${address}`;

/** Of an object from its first byte. */
export async function hashesOf({
  blake3,
  policy,
  secondBlake3,
}: Pick<VaultContext, 'blake3' | 'policy' | 'secondBlake3'>): Promise<HashState> {
  const second = policy.verifyWrites === 'full' ? (await secondBlake3()).createHasher() : undefined;
  return { hasher: blake3.createHasher(), second };
}
