import { createLinearCode } from '../coding/erasure/code.ts';
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
import { type SegmentView, viewSegment } from './segment-view.ts';

/** A segment that can be read. */
export interface ReadableSegment {
  readonly view: SegmentView;
  readonly secrets: SegmentSecrets;
  /** Offset of its first byte of plaintext in the object. */
  readonly plainStart: number;
}

/** A segment that has been unsealed. */
type OpenSegment = Omit<ReadableSegment, 'plainStart'>;
export type OpenNode = OpenSegment | readonly Link[];

/** What was read of one object's manifest below its root: nodes by address, or the segment inside the root. */
export interface NodeMemory {
  get(key: BlobAddress | 'root'): OpenNode | undefined;
  /** @param bytes length of the node as it is kept; of the segment inside the root 0. */
  set(key: BlobAddress | 'root', node: OpenNode, bytes: number): void;
}

/** The segments that overlap `[start, end)` of the plaintext, in order; nothing else is fetched. */
export async function* readableSegments(
  context: ObjectContext,
  root: OpenRoot,
  start: number,
  end: number,
  damage: DamageLog,
  signal?: AbortSignal,
  memory?: NodeMemory,
): AsyncGenerator<ReadableSegment> {
  const { objectId, body } = root.record;
  const open = (read: (shards: number) => SegmentRecord): OpenSegment => {
    const code = createLinearCode(root.record.code);
    const record = read(code.totalShards);
    return { view: viewSegment(record, code), secrets: unsealSegment(root.keys.sealed, objectId, record) };
  };
  if (!('links' in body)) {
    const known = memory?.get('root') as OpenSegment | undefined;
    const segment = known ?? open(() => body.segment);
    if (known === undefined) memory?.set('root', segment, 0);
    yield placed(segment, 0, root.secrets.size);
    return;
  }
  const nodeAt = async (address: BlobAddress, depth: number): Promise<OpenNode> => {
    const known = memory?.get(address);
    if (known !== undefined) return known;
    const bytes = await timed(context, 'manifest', () => fetchNode(context, address, damage, signal));
    const node =
      depth === 0
        ? open((shards) => decodeSegmentNode(bytes, objectId, shards))
        : unsealIndexNode(decodeIndexNode(bytes, objectId), objectId, root.keys.sealed);
    memory?.set(address, node, bytes.length);
    return node;
  };
  const below = async function* (
    links: readonly Link[],
    depth: number,
    from: number,
  ): AsyncGenerator<ReadableSegment> {
    let at = from;
    for (const { cid, plainBytes } of links) {
      if (at < end && at + plainBytes > start) {
        const node = await nodeAt(cid.address, depth);
        if (depth === 0) yield placed(node as OpenSegment, at, plainBytes);
        else yield* below(node as readonly Link[], depth - 1, at);
      }
      at += plainBytes;
    }
  };
  yield* below(root.links, body.depth - 1, 0);
}

/** @throws HoldfastError `Corrupt` where it is not as long as the node above says. */
function placed(segment: OpenSegment, plainStart: number, expected: number): ReadableSegment {
  if (segment.secrets.plainLens.reduce((a, b) => a + b, 0) === expected) return { ...segment, plainStart };
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
    const links = node as readonly Link[];
    const index = links.findIndex((link) => {
      if (at < start + link.plainBytes) return true;
      start += link.plainBytes;
      return false;
    });
    node = index < 0 ? undefined : memory.get(links[index]!.cid.address);
  }
  for (const length of (node as OpenSegment | undefined)?.secrets.plainLens ?? []) {
    if (at < start + length) return start;
    start += length;
  }
  return undefined;
}
