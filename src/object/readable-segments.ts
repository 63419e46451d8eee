import { createLinearCode } from '../coding/erasure/code.ts';
import { throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { HoldfastError } from '../core/errors.ts';
import { decodeIndexNode, type Link, unsealIndexNode } from '../manifest/links.ts';
import type { OpenRoot } from '../manifest/root.ts';
import {
  decodeSegmentNode,
  type SegmentRecord,
  type SegmentSecrets,
  unsealSegment,
} from '../manifest/segment.ts';
import { timed } from '../telemetry/metrics.ts';
import type { ObjectContext } from './context.ts';
import type { DamageLog } from './damage.ts';
import { fetchNode } from './fetch-node.ts';
import { linksOver, type ManifestTree, type PlainRange, walkManifest } from './manifest-tree.ts';
import { allPlaces, type SegmentView, viewSegment } from './places.ts';
import { blobKey, type Relocation, relocate } from './relocations.ts';

/** A segment that can be read. */
export interface ReadableSegment extends OpenSegment {
  /** Address of its node, or of the root that it stands in. */
  readonly segment: BlobAddress;
  /** Offset of its first byte of plaintext in the object. */
  readonly plainStart: number;
}

/** A segment that has been unsealed. */
interface OpenSegment {
  readonly view: SegmentView;
  readonly secrets: SegmentSecrets;
}

export type OpenNode = OpenSegment | readonly Link[];

/** What was read of one object's manifest below its root: nodes by address, or the segment inside the root. */
export interface NodeMemory {
  get(key: BlobAddress | 'root'): OpenNode | undefined;
  /** @param bytes length of the node as it is kept; of the segment inside the root 0. */
  set(key: BlobAddress | 'root', node: OpenNode, bytes: number): void;
}

/** A manifest that has been opened: what several reads of an object may share. */
export interface OpenedManifest {
  readonly manifest: BlobAddress;
  readonly root: OpenRoot;
  /** Keeps what lies below the root; without it every read fetches its part again. */
  readonly nodes?: NodeMemory | undefined;
}

/** The segments that overlap a range of the plaintext, in order, their shards where they are now; nothing else is fetched. */
export async function* readableSegments(
  context: ObjectContext,
  { manifest, root, nodes }: OpenedManifest,
  range: PlainRange,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<ReadableSegment> {
  const tree = sealedTree(
    root,
    (address) => timed(context, 'manifest', () => fetchNode(context, address, damage, signal)),
    nodes,
  );
  // Where the engine cannot tell, the recorded places may do.
  const ask = <T>(answer: Promise<T>): Promise<T | undefined> =>
    answer.catch(() => throwIfAborted(signal, 'get') as undefined);
  const relocationsOf = await ask(context.relocations.open({ signal }));
  for await (const { address, segment, plainStart, plainBytes } of walkManifest(tree, { range })) {
    if (segment === undefined) continue;
    checkLength(segment, address === undefined ? root.secrets.size : plainBytes);
    const { view, secrets } = segment;
    const key = address ?? manifest;
    const relocations = relocationsOf && (await ask(relocationsOf(key)));
    yield { segment: key, view: relocations ? relocate(view, relocations) : view, secrets, plainStart };
  }
}

/**
 * The same with every place that the engine has by now, or that any provider tells of: for who finds too few shards.
 * @returns undefined where that is none that was not known.
 */
export async function withToldPlaces(
  context: ObjectContext,
  readable: ReadableSegment,
  signal?: AbortSignal,
): Promise<ReadableSegment | undefined> {
  const { segment, view } = readable;
  const { relocations } = context;
  const ask = (answer: Promise<readonly Relocation[] | undefined>): Promise<readonly Relocation[]> =>
    answer.then(
      (found) => found ?? [],
      () => throwIfAborted(signal, 'get') ?? [],
    );
  const recorded = ask(relocations.open({ fresh: true, signal }).then((of) => of?.(segment)));
  const told = ask(relocations.told(segment, { signal }));
  const next = relocate({ ...view, moved: undefined }, [...(await recorded), ...(await told)]);
  const isNew = [...(next.moved?.places ?? [])].some(([at, places]) => {
    const known = new Set(allPlaces(view, at).map(({ pack }) => blobKey(pack)));
    return places.some(({ pack }) => !known.has(blobKey(pack)));
  });
  return isNew ? { ...readable, view: next } : undefined;
}

/** A manifest's tree with its sealed parts opened, remembering what was. */
function sealedTree(
  root: OpenRoot,
  fetch: (address: BlobAddress) => Promise<Uint8Array>,
  memory: NodeMemory | undefined,
): ManifestTree<Link, OpenSegment> {
  const { objectId, body, code: params } = root.record;
  const open = (read: (shards: number) => SegmentRecord): OpenSegment => {
    const code = createLinearCode(params);
    const record = read(code.totalShards);
    return { view: viewSegment(record, code), secrets: unsealSegment(root.keys.sealed, objectId, record) };
  };
  const remembered = async <N extends OpenNode>(
    address: BlobAddress,
    decode: (bytes: Uint8Array) => N,
  ): Promise<N> => {
    const known = memory?.get(address);
    if (known !== undefined) return known as N;
    const bytes = await fetch(address);
    const node = decode(bytes);
    memory?.set(address, node, bytes.length);
    return node;
  };
  return {
    depth: body.depth,
    links: root.links,
    async segment(address) {
      if (address !== undefined) {
        return remembered(address, (bytes) => open((shards) => decodeSegmentNode(bytes, objectId, shards)));
      }
      const known = memory?.get('root') as OpenSegment | undefined;
      if (known !== undefined || 'links' in body) return known;
      const segment = open(() => body.segment);
      memory?.set('root', segment, 0);
      return segment;
    },
    index: (address) =>
      remembered(address, (bytes) =>
        unsealIndexNode(decodeIndexNode(bytes, objectId), objectId, root.keys.sealed),
      ),
  };
}

/** @throws HoldfastError `Corrupt` where it is not as long as the node above says. */
function checkLength({ secrets }: OpenSegment, expected: number): void {
  if (secrets.plainLens.reduce((a, b) => a + b, 0) === expected) return;
  throw new HoldfastError('Corrupt', 'lengths in the manifest contradict each other', {
    code: 'malformed_manifest',
  });
}

/** Where the chunk starts that has the byte `at`; undefined where the manifest's nodes are not in memory. */
export function chunkStartOf(root: OpenRoot, memory: NodeMemory, at: number): number | undefined {
  const { body } = root.record;
  let node = 'links' in body ? root.links : memory.get('root');
  let start = 0;
  for (let depth = body.depth; depth > 0 && node !== undefined; depth--) {
    const { value } = linksOver(node as readonly Link[], start, { start: at, end: at + 1 }).next();
    if (value === undefined) return undefined;
    start = value.plainStart;
    node = memory.get(value.link.cid.address);
  }
  for (const length of (node as OpenSegment | undefined)?.secrets.plainLens ?? []) {
    if (at < start + length) return start;
    start += length;
  }
  return undefined;
}
