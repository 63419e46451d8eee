import { createLinearCode } from '../../coding/erasure/code.ts';
import { HoldfastError } from '../../core/errors.ts';
import { decodeIndexNode, type Link, unsealIndexNode } from '../../manifest/links.ts';
import type { OpenRoot } from '../../manifest/root.ts';
import {
  decodeSegmentNode,
  type SegmentRecord,
  type SegmentSecrets,
  unsealSegment,
} from '../../manifest/segment.ts';
import type { DamageLog } from '../damage.ts';
import { fetchNode } from '../nodes.ts';
import { type SegmentView, viewSegment } from '../object-view.ts';
import type { VaultContext } from '../ports.ts';

/** A segment that can be read. */
export interface ReadableSegment {
  readonly view: SegmentView;
  readonly secrets: SegmentSecrets;
  /** Offset of its first byte of plaintext in the object. */
  readonly plainStart: number;
}

/** The segments that overlap `[start, end)` of the plaintext, in order; nothing else is fetched. */
export async function* readableSegments(
  context: VaultContext,
  root: OpenRoot,
  start: number,
  end: number,
  damage: DamageLog,
  signal?: AbortSignal,
): AsyncGenerator<ReadableSegment> {
  const code = createLinearCode(root.record.code);
  const { objectId, body } = root.record;
  const open = (record: SegmentRecord, plainStart: number, expected: number): ReadableSegment => {
    const secrets = unsealSegment(root.keys.sealed, objectId, record);
    if (secrets.plainLens.reduce((a, b) => a + b, 0) !== expected) throw contradiction();
    return { view: viewSegment(record, code), secrets, plainStart };
  };
  if (!('links' in body)) {
    yield open(body.segment, 0, root.secrets.size);
    return;
  }
  const below = async function* (
    links: readonly Link[],
    depth: number,
    from: number,
  ): AsyncGenerator<ReadableSegment> {
    let at = from;
    for (const link of links) {
      const overlaps = at < end && at + link.plainBytes > start;
      if (overlaps) {
        const bytes = await fetchNode(context, link.cid.address, damage, signal);
        if (depth === 0)
          yield open(decodeSegmentNode(bytes, objectId, code.totalShards), at, link.plainBytes);
        else {
          const links = unsealIndexNode(decodeIndexNode(bytes, objectId), objectId, root.keys.sealed);
          yield* below(links, depth - 1, at);
        }
      }
      at += link.plainBytes;
    }
  };
  yield* below(root.links, body.depth - 1, 0);
}

function contradiction(): HoldfastError {
  return new HoldfastError('Corrupt', 'lengths in the manifest contradict each other', {
    code: 'malformed_manifest',
  });
}
