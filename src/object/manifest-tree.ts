import { createLinearCode } from '../coding/erasure/code.ts';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import { decodeIndexNode, type PublicLink } from '../manifest/links.ts';
import type { RootRecord } from '../manifest/root.ts';
import { decodeSegmentNode, type SegmentRecord } from '../manifest/segment.ts';
import type { ObjectContext } from './context.ts';
import type { DamageLog } from './damage.ts';
import { fetchNode } from './fetch-node.ts';
import { type SegmentView, viewSegment } from './places.ts';
import { relocate } from './relocations.ts';

/** A link, and bytes of plaintext below it where the lengths have been unsealed. */
export interface TreeLink extends PublicLink {
  readonly plainBytes?: number;
}

/** A manifest's tree of nodes, and how what is in them is had. */
export interface ManifestTree<L extends TreeLink, S> {
  /** Levels of links; 0: the only segment stands inside the root. */
  readonly depth: number;
  /** The root's. */
  readonly links: readonly L[];
  /** The segment at an address, or inside the root. Undefined: it is lost. */
  segment(address: BlobAddress | undefined): Promise<S | undefined>;
  /** The links of an index node. Undefined: it is lost, and what is below it cannot be known. */
  index(address: BlobAddress): Promise<readonly L[] | undefined>;
}

export interface WalkOptions {
  /** Keeps to what is over this part of the plaintext. Needs the lengths. */
  readonly range?: PlainRange | undefined;
  /** False: index nodes only are read, and segments are told by their addresses. */
  readonly segments?: boolean | undefined;
}

export interface PlainRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

/** What a walk comes by: every node, before it is read; then the segment in it, once it is. */
export interface Visit<S> {
  /** Undefined: inside the root. */
  readonly address: BlobAddress | undefined;
  /** Levels of links below; 0: a segment. */
  readonly depth: number;
  /** Where its plaintext starts, and how long it is; 0 where the lengths are sealed. */
  readonly plainStart: number;
  readonly plainBytes: number;
  /** Undefined: not read yet. */
  readonly segment: S | undefined;
}

/** Walks a manifest in the order of the object, each node before what is below it. Reads a node when it is asked to go on. */
export async function* walkManifest<L extends TreeLink, S>(
  tree: ManifestTree<L, S>,
  { range, segments = true }: WalkOptions = {},
): AsyncGenerator<Visit<S>> {
  const below = async function* (links: readonly L[], depth: number, from: number): AsyncGenerator<Visit<S>> {
    for (const { link, plainStart } of linksOver(links, from, range)) {
      const { address } = link.cid;
      const visit = { address, depth, plainStart, plainBytes: link.plainBytes ?? 0, segment: undefined };
      yield visit;
      if (depth > 0) yield* below((await tree.index(address)) ?? [], depth - 1, plainStart);
      else if (segments) {
        const segment = await tree.segment(address);
        if (segment !== undefined) yield { ...visit, segment };
      }
    }
  };
  if (tree.depth > 0) return yield* below(tree.links, tree.depth - 1, 0);
  if (!segments) return;
  const segment = await tree.segment(undefined);
  if (segment !== undefined) yield { address: undefined, depth: 0, plainStart: 0, plainBytes: 0, segment };
}

/** The links that lead to a part of the plaintext, all without one, and where the plaintext below each starts. */
export function* linksOver<L extends TreeLink>(
  links: readonly L[],
  from: number,
  range: PlainRange | undefined,
): Generator<{ readonly link: L; readonly plainStart: number }> {
  let plainStart = from;
  for (const link of links) {
    const end = plainStart + (link.plainBytes ?? 0);
    if (range === undefined || (plainStart < range.end && end > range.start)) yield { link, plainStart };
    plainStart = end;
  }
}

/** A manifest as far as it is public: enough to verify, repair and delete. */
export interface PublicManifest {
  readonly manifest: BlobAddress;
  readonly record: RootRecord;
}

/** A manifest's tree by its public parts alone. @param fetch undefined: nobody has it. */
export function publicTree(
  { objectId, code, body }: RootRecord,
  fetch: (address: BlobAddress) => Promise<Uint8Array | undefined>,
): ManifestTree<PublicLink, SegmentRecord> {
  const { totalShards } = createLinearCode(code);
  return {
    depth: body.depth,
    links: 'links' in body ? body.links : [],
    async segment(address) {
      if (address === undefined) return 'segment' in body ? body.segment : undefined;
      const bytes = await fetch(address);
      return bytes && decodeSegmentNode(bytes, objectId, totalShards);
    },
    async index(address) {
      const bytes = await fetch(address);
      return bytes && decodeIndexNode(bytes, objectId).links;
    },
  };
}

/** A segment as it was put. */
export interface PutSegment {
  /** Address of its node, or of the root that it stands in. */
  readonly segment: BlobAddress;
  readonly view: SegmentView;
}

/** Every segment of an object in order, as it was put. */
export async function* putSegments(
  context: ObjectContext,
  { manifest, record }: PublicManifest,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<PutSegment> {
  const code = createLinearCode(record.code);
  const tree = publicTree(record, (address) => fetchNode(context, address, damage, signal));
  for await (const { address, segment } of walkManifest(tree)) {
    if (segment !== undefined) yield { segment: address ?? manifest, view: viewSegment(segment, code) };
  }
}

/** Every segment of an object in order, its shards where they are now. */
export async function* publicSegments(
  context: ObjectContext,
  object: PublicManifest,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<SegmentView> {
  const relocationsOf = await context.relocations.open({ signal, fresh: true });
  for await (const { segment, view } of putSegments(context, object, damage, signal)) {
    yield relocationsOf === undefined ? view : relocate(view, await relocationsOf(segment));
  }
}

/**
 * One segment of an object, its shards where they are now; nothing else of the manifest is read.
 * @param segment the address of its node, or the manifest's where it stands in the root.
 * @throws HoldfastError what fetching a node throws; `Corrupt` for a node that is no segment of the object.
 */
export async function publicSegment(
  context: ObjectContext,
  { manifest, record }: PublicManifest,
  segment: BlobAddress,
  damage: DamageLog,
  signal?: AbortSignal,
): Promise<SegmentView> {
  const code = createLinearCode(record.code);
  const tree = publicTree(record, (address) => fetchNode(context, address, damage, signal));
  const found = await tree.segment(segment === manifest ? undefined : segment);
  if (found === undefined) {
    throw new HoldfastError('Corrupt', 'the manifest has no segment of its own', {
      code: 'malformed_manifest',
    });
  }
  const view = viewSegment(found, code);
  const relocationsOf = await context.relocations.open({ signal, fresh: true });
  return relocationsOf === undefined ? view : relocate(view, await relocationsOf(segment));
}

/** Addresses of all nodes below the root; reads those of links. */
export async function* publicNodes(
  context: ObjectContext,
  record: RootRecord,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly address: BlobAddress; readonly depth: number }> {
  const tree = publicTree(record, (address) => fetchNode(context, address, damage, signal));
  for await (const { address, depth } of walkManifest(tree, { segments: false })) {
    if (address !== undefined) yield { address, depth };
  }
}
