import type PQueue from 'p-queue';
import { concatBytes } from '../../core/bytes.ts';
import { Cid } from '../../manifest/cid.ts';
import { MAX_LINKS } from '../../manifest/limits.ts';
import { encodeIndexNode, type Link } from '../../manifest/links.ts';
import { encodeSegmentNode, type SegmentRecord, sealSegment } from '../../manifest/segment.ts';
import { viewSegment } from '../../object/places.ts';
import { placementOf, type ShardPlacement } from '../../records/shard-index.ts';
import { storePacks } from './pack-store.ts';
import { PutRows } from './put-rows.ts';
import type { ResumeLog } from './resume-log.ts';
import type { BuiltChunk, SegmentBuilder, SegmentTail } from './segment-builder.ts';
import type { PutSession } from './session.ts';

interface Written {
  readonly record: SegmentRecord;
  readonly placement: ShardPlacement;
  readonly plainBytes: number;
  readonly tail: SegmentTail;
}

/** Turns finished segments into packs and nodes. One segment stays inside the root; more become linked nodes. */
export class SegmentWriter {
  readonly #session: PutSession;
  readonly #queue: PQueue;
  readonly #log: ResumeLog | undefined;
  readonly #links: Promise<Link>[] = [];
  /** Of the segments that are written. */
  readonly rows: PutRows = new PutRows();
  /** The first, while there is no second: it alone may stay in the root. */
  #alone: Promise<Written> | undefined;
  #maxChunkLen = 0;
  #fail = (_: unknown): void => {};

  /** Rejects with the first error of a segment. Never resolves. */
  readonly failure: Promise<never> = new Promise((_, reject) => {
    this.#fail = reject;
  });

  /** @param log told of finished segments that became nodes. */
  constructor(session: PutSession, queue: PQueue, log: ResumeLog | undefined) {
    this.#session = session;
    this.#queue = queue;
    this.#log = log;
    this.failure.catch(() => {});
  }

  /** Length of the longest chunk, as its shards make it up. */
  get maxChunkLen(): number {
    return this.#maxChunkLen;
  }

  /** Takes a segment that was written before in the place of the next. */
  adopt(link: Link, maxChunkLen: number, placement: ShardPlacement): void {
    this.rows.add(link.cid.address, placement);
    const first = this.#alone;
    this.#alone = undefined;
    if (first !== undefined) this.#link(first);
    this.#links.push(Promise.resolve(link));
    this.#maxChunkLen = Math.max(this.#maxChunkLen, maxChunkLen);
  }

  /** Starts writing a segment and takes over its memory. */
  write(builder: SegmentBuilder): void {
    const written = this.#write(builder);
    written.catch(this.#fail);
    const first = this.#alone;
    this.#alone = undefined;
    if (first !== undefined) this.#link(first);
    if (this.#links.length > 0) this.#link(written);
    else this.#alone = written;
  }

  #link(written: Promise<Written>): void {
    const linking = written.then((segment) => this.#toNode(segment));
    this.#links.push(linking);
    linking.catch(this.#fail);
  }

  /** The root's body once everything is stored. */
  async finish(): Promise<
    | { readonly depth: 0; readonly segment: SegmentRecord }
    | { readonly depth: number; readonly links: Link[] }
  > {
    if (this.#alone !== undefined) {
      const { record, placement } = await this.#alone;
      this.rows.add(undefined, placement);
      return { depth: 0, segment: record };
    }
    let links = await Promise.all(this.#links);
    let depth = 1;
    for (; links.length > MAX_LINKS; depth++) links = await this.#indexLevel(links);
    return { depth, links };
  }

  /** Resolves once nothing is being written any more, however it went. */
  async settled(): Promise<void> {
    await Promise.allSettled([this.#alone, ...this.#links]);
  }

  async #write(builder: SegmentBuilder): Promise<Written> {
    const { tail } = builder;
    try {
      const chunks = await builder.finished();
      const { packs, places } = await storePacks(this.#session, chunks, this.#queue);
      this.#tellSeconds(chunks);
      const record = this.#describe(chunks, packs, places);
      const { code, context } = this.#session;
      return {
        record,
        placement: placementOf(viewSegment(record, code), context.policy.failureDomain),
        plainBytes: sum(chunks.map((c) => c.plainLength)),
        tail,
      };
    } finally {
      await builder.release();
    }
  }

  /** All packs are acknowledged, and so is every chunk. */
  #tellSeconds(chunks: readonly BuiltChunk[]): void {
    const { context, code } = this.#session;
    const labels = { erasure: code.params.algorithm, compression: context.policy.compression };
    const now = context.clock.monotonic();
    for (const { startedMs } of chunks) context.metrics.putChunk((now - startedMs) / 1000, labels);
  }

  #describe(chunks: readonly BuiltChunk[], packs: SegmentRecord['packs'], places: Uint8Array): SegmentRecord {
    const { keys, objectId, context, code } = this.#session;
    const firstChunk = chunks[0]!.index;
    const chunkLens = chunks.map(({ encoded }) => code.dataShards * encoded.shardLength);
    this.#maxChunkLen = Math.max(this.#maxChunkLen, ...chunkLens);
    const secrets = {
      leads: chunks.map(({ keyProvider }) => keyProvider),
      plainLens: chunks.map(({ plainLength }) => plainLength),
      storedLens: chunks.map(({ encoded }) => encoded.storedLength),
      codecs: Uint8Array.from(chunks, ({ encoded }) => encoded.codec),
      salts: concatBytes(...chunks.map(({ salt }) => salt)),
    };
    return {
      firstChunk,
      chunkLens,
      tags: concatBytes(...chunks.map(({ encoded }) => encoded.tag)),
      shards: concatBytes(...chunks.map(({ encoded }) => encoded.digests)),
      packs,
      places,
      sealed: sealSegment(keys.sealed, objectId, firstChunk, secrets, context.random),
    };
  }

  async #toNode({ record, placement, plainBytes, tail }: Written): Promise<Link> {
    const node = encodeSegmentNode(this.#session.objectId, record);
    const { address, providers: copies } = await this.#session.storeNode(node);
    this.rows.add(address, placement);
    await this.#log?.finished(record.firstChunk, plainBytes, { node, copies, ...tail });
    return { cid: new Cid(address), chunks: record.chunkLens.length, plainBytes };
  }

  async #indexLevel(links: readonly Link[]): Promise<Link[]> {
    const { objectId, keys, context } = this.#session;
    const above: Link[] = [];
    for (let at = 0; at < links.length; at += MAX_LINKS) {
      const part = links.slice(at, at + MAX_LINKS);
      const node = encodeIndexNode(objectId, part, keys.sealed, context.random);
      const { address } = await this.#session.storeNode(node);
      above.push({
        cid: new Cid(address),
        chunks: sum(part.map((link) => link.chunks)),
        plainBytes: sum(part.map((link) => link.plainBytes)),
      });
    }
    return above;
  }
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
