import { createLinearCode } from '../../coding/erasure/code.ts';
import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { asHoldfastError, type HoldfastError } from '../../core/errors.ts';
import { decodeRoot, type RootRecord } from '../../manifest/root.ts';
import { DamageLog } from '../../object/damage.ts';
import { fetchNode } from '../../object/fetch-node.ts';
import { publicTree, walkManifest } from '../../object/manifest-tree.ts';
import { type SegmentView, viewSegment } from '../../object/places.ts';
import { relocate } from '../../object/relocations.ts';
import type { RecordsContext } from '../../records/context.ts';
import { loadRoot } from '../../records/manifests.ts';

/** A node that should be at several providers. */
export interface NodeSeen {
  readonly address: BlobAddress;
  /** 0 where nobody has it. */
  readonly length: number;
}

/** One segment of a manifest, with the nodes that lead to it and to none before it. */
export interface WalkedSegment {
  readonly manifest: BlobAddress;
  readonly record: RootRecord;
  /** Of all segments of the manifest, from 0. */
  readonly ordinal: number;
  readonly nodes: readonly NodeSeen[];
  /** Its node, or the root that it stands in. */
  readonly segment: BlobAddress;
  /** Undefined: its node cannot be read. */
  readonly view: SegmentView | undefined;
}

interface WalkOptions extends AbortOptions {
  /** Segments that are passed over without being read. */
  readonly from: number;
  /** Told when a node cannot be read: what is below it is left out. */
  readonly onUnread: (error: HoldfastError) => void;
}

/** Nodes that all others lack are waited for so long at those that do not answer. */
const GIVE_UP_MS = 5_000;

/** The segments of a manifest in order, by its public parts alone, their shards where they are now. @throws Aborted. */
export async function* walkedSegments(
  context: RecordsContext,
  manifest: BlobAddress,
  { from, onUnread, signal }: WalkOptions,
): AsyncGenerator<WalkedSegment> {
  const lengths = new Map<BlobAddress, number>();
  const damage = new DamageLog();
  const readable = async <T>(read: Promise<T>): Promise<T | undefined> =>
    read.catch((error: unknown) => {
      throwIfAborted(signal, 'the scrub');
      onUnread(asHoldfastError(error));
      return undefined;
    });
  const fetch = async (address: BlobAddress): Promise<Uint8Array | undefined> => {
    const bytes = await readable(fetchNode(context, address, damage, signal, GIVE_UP_MS));
    if (bytes !== undefined) lengths.set(address, bytes.length);
    return bytes;
  };
  const root = await readable(loadRoot(context, manifest, damage, { signal }));
  const record = root && (await readable((async () => decodeRoot(root))()));
  if (root === undefined || record === undefined) return;
  lengths.set(manifest, root.length);
  const code = createLinearCode(record.code);
  const relocationsOf = await context.relocations.open({ signal, fresh: true });
  const viewOf = async (
    address: BlobAddress,
    segment: Parameters<typeof viewSegment>[0],
  ): Promise<SegmentView | undefined> => {
    const view = await readable((async () => viewSegment(segment, code))());
    return view && relocationsOf ? relocate(view, await relocationsOf(address)) : view;
  };
  const tree = publicTree(record, fetch);
  let ordinal = -1;
  const skipping = {
    ...tree,
    segment: async (address: BlobAddress | undefined) =>
      ordinal < from && address !== undefined ? undefined : readable(tree.segment(address)),
    index: (address: BlobAddress) => readable(tree.index(address)),
  };
  let nodes: BlobAddress[] = [manifest];
  const walked = (segment: BlobAddress, view: SegmentView | undefined): WalkedSegment[] => {
    const its = nodes.map((address) => ({ address, length: lengths.get(address) ?? 0 }));
    nodes = [];
    lengths.clear();
    return ordinal < from ? [] : [{ manifest, record, ordinal, nodes: its, segment, view }];
  };
  /** One whose node was passed by and not read yet. */
  let pending: BlobAddress | undefined;
  for await (const { address, depth, segment } of walkManifest(skipping)) {
    if (segment !== undefined) {
      if (address === undefined) ordinal++;
      pending = undefined;
      yield* walked(address ?? manifest, await viewOf(address ?? manifest, segment));
      continue;
    }
    if (pending !== undefined) yield* walked(pending, undefined);
    pending = undefined;
    nodes.push(address!);
    if (depth > 0) continue;
    pending = address;
    ordinal++;
  }
  if (pending !== undefined) yield* walked(pending, undefined);
  // What is below these could not be read.
  const last = nodes.at(-1);
  if (last === undefined) return;
  ordinal++;
  yield* walked(last, undefined);
}
