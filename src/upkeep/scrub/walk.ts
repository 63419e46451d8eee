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
  options: WalkOptions,
): AsyncGenerator<WalkedSegment> {
  const walk = new Walk(context, options);
  const record = await walk.root(manifest);
  if (record === undefined) return;
  const tree = publicTree(record, (address) => walk.fetch(address));
  const relocationsOf = await context.relocations.open({ signal: options.signal, fresh: true });
  const code = createLinearCode(record.code);
  let ordinal = -1;
  let nodes: BlobAddress[] = [manifest];
  const walked = (segment: BlobAddress, view: SegmentView | undefined): WalkedSegment[] => {
    const its = walk.seen(nodes);
    nodes = [];
    return ordinal < options.from ? [] : [{ manifest, record, ordinal, nodes: its, segment, view }];
  };
  const lenient = {
    ...tree,
    segment: async (address: BlobAddress | undefined) =>
      ordinal < options.from && address !== undefined ? undefined : walk.attempt(tree.segment(address)),
    index: (address: BlobAddress) => walk.attempt(tree.index(address)),
  };
  /** A segment whose node was passed by and not read yet. */
  let pending: BlobAddress | undefined;
  for await (const { address, depth, segment } of walkManifest(lenient)) {
    if (segment !== undefined) {
      const at = address ?? manifest;
      if (address === undefined) ordinal++;
      pending = undefined;
      const view = await walk.attempt((async () => viewSegment(segment, code))());
      yield* walked(at, view && relocationsOf ? relocate(view, await relocationsOf(at)) : view);
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

/** Reads nodes; one that cannot be read is told, and stands in the way of no other. */
class Walk {
  readonly #context: RecordsContext;
  readonly #options: WalkOptions;
  readonly #damage = new DamageLog();
  readonly #lengths = new Map<BlobAddress, number>();

  constructor(context: RecordsContext, options: WalkOptions) {
    this.#context = context;
    this.#options = options;
  }

  async root(manifest: BlobAddress): Promise<RootRecord | undefined> {
    const { signal } = this.#options;
    const bytes = await this.attempt(loadRoot(this.#context, manifest, this.#damage, { signal }));
    if (bytes === undefined) return undefined;
    this.#lengths.set(manifest, bytes.length);
    return this.attempt((async () => decodeRoot(bytes))());
  }

  async fetch(address: BlobAddress): Promise<Uint8Array | undefined> {
    const { signal } = this.#options;
    const bytes = await this.attempt(fetchNode(this.#context, address, this.#damage, signal, GIVE_UP_MS));
    if (bytes !== undefined) this.#lengths.set(address, bytes.length);
    return bytes;
  }

  /** Nodes that were passed by, with their lengths, which are forgotten then. */
  seen(nodes: readonly BlobAddress[]): NodeSeen[] {
    const its = nodes.map((address) => ({ address, length: this.#lengths.get(address) ?? 0 }));
    this.#lengths.clear();
    return its;
  }

  async attempt<T>(read: Promise<T>): Promise<T | undefined> {
    const { signal, onUnread } = this.#options;
    return read.catch((error: unknown) => {
      throwIfAborted(signal, 'the scrub');
      onUnread(asHoldfastError(error));
      return undefined;
    });
  }
}
