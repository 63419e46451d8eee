import { type AbortOptions, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { withDeadline } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { MAX_NODE_BYTES } from '../../manifest/limits.ts';
import { DamageLog } from '../../object/damage.ts';
import { fetchNode } from '../../object/fetch-node.ts';
import { type PublicManifest, publicNodes } from '../../object/manifest-tree.ts';
import { type CopiesWanted, CopyDealer, spread } from '../../object/rendezvous.ts';
import { fetchVerified } from '../../providers/guard.ts';
import type { Provider } from '../../providers/provider.ts';
import { readClaim } from '../../records/claims.ts';
import type { RecordsContext } from '../../records/context.ts';
import type { UpkeepContext } from '../context.ts';
import type { RepairPace } from './pace.ts';

export interface NodesRepair {
  readonly nodes: number;
  /** Copies written, and their bytes. */
  readonly copies: number;
  readonly bytes: number;
  /** Nodes that are still in fewer failure domains than the certificate needs. */
  readonly short: readonly BlobAddress[];
}

export interface NodesRequest extends AbortOptions {
  readonly object: PublicManifest;
  /** The root's bytes. */
  readonly root: Uint8Array;
  /** Providers that are gone for good. */
  readonly lost: ReadonlySet<string>;
  /** Copies that are known to be rotten, as `<provider>/<address>`. */
  readonly rotten: ReadonlySet<string>;
  readonly pace: RepairPace;
}

/** What one answer may take: who does not answer is taken to have its copy still. */
const ASK_MS = 5_000;
const STORE_MS = 30_000;

/**
 * Brings the copies of an object's nodes back to where they outlive what its certificate promises. A provider that does not
 * answer counts as having its copy: it may come back, and who is gone for good is named in `lost`.
 * @throws HoldfastError `NotFound` or `Unavailable` for a node that nobody has now; `QuotaExceeded`, code `egress_cap`; `Aborted`.
 */
export async function repairNodes(context: UpkeepContext, request: NodesRequest): Promise<NodesRepair> {
  const { object, root, signal } = request;
  const needed = object.record.certificate.tolerates + 1;
  let [nodes, copies, bytes] = [0, 0, 0];
  const short: BlobAddress[] = [];
  const repair = async (address: BlobAddress, read: () => Promise<Uint8Array>): Promise<void> => {
    const done = await repairNode(context, request, { address, read, needed });
    nodes++;
    copies += done.copies;
    bytes += done.bytes;
    if (done.isShort) short.push(address);
  };
  await repair(object.manifest, async () => root);
  for await (const { address } of publicNodes(context, object.record, new DamageLog(), signal)) {
    await repair(address, () => fetchNode(context, address, new DamageLog(), signal));
  }
  return { nodes, copies, bytes, short };
}

interface NodeToRepair {
  readonly address: BlobAddress;
  readonly needed: number;
  read(): Promise<Uint8Array>;
}

async function repairNode(
  context: UpkeepContext,
  { lost, rotten, pace, signal }: NodesRequest,
  { address, needed, read }: NodeToRepair,
): Promise<{ readonly copies: number; readonly bytes: number; readonly isShort: boolean }> {
  const all = context.directory.all().filter(({ id }) => !lost.has(id));
  const wanted: CopiesWanted = { needed, wanted: Math.min(all.length, needed + 1) };
  const dealer = new CopyDealer(context, wanted, spread(context, address, all));
  const without: Provider[] = [];
  for (let asked = deal(dealer); asked.length > 0; asked = deal(dealer)) {
    const answers = asked.map(async (provider) => {
      const has =
        !rotten.has(`${provider.id}/${address}`) && (await hasCopy(context, provider, address, signal));
      dealer.answered(provider, has);
      if (!has) without.push(provider);
    });
    await Promise.all(answers);
  }
  if (dealer.domains >= needed && dealer.copies >= wanted.wanted)
    return { copies: 0, bytes: 0, isShort: false };
  const block = await read();
  let copies = 0;
  // In the same order: those that ought to have it come first.
  dealer.add(without);
  for (let next = dealer.next(); next !== undefined; next = dealer.next()) {
    // One that hardly anybody has is stored whatever the cap says.
    await pace.reserve(next.id, block.length, { exempt: dealer.domains <= 1, signal });
    await pace.store(block.length, { signal });
    const isStored = await store(context, next, { address, block, signal });
    dealer.answered(next, isStored);
    if (isStored) copies++;
  }
  return { copies, bytes: copies * block.length, isShort: dealer.domains < needed };
}

/** Those to be asked at once. */
function deal(dealer: CopyDealer): Provider[] {
  const dealt: Provider[] = [];
  for (let next = dealer.next(); next !== undefined; next = dealer.next()) dealt.push(next);
  return dealt;
}

async function hasCopy(
  { clock }: UpkeepContext,
  { adapter }: Provider,
  address: BlobAddress,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const ask = (within: AbortSignal): Promise<boolean> => adapter.exists(address, { signal: within });
  try {
    return await withDeadline(clock, ASK_MS, 'asking for a manifest node', ask, signal);
  } catch (error) {
    throwIfAborted(signal, 'repair');
    return !isHoldfastError(error, 'NotFound');
  }
}

interface NodeCopy extends AbortOptions {
  readonly address: BlobAddress;
  readonly block: Uint8Array;
}

/** @returns false where it cannot be kept: it goes to another then. */
async function store(
  context: UpkeepContext,
  { id, adapter }: Provider,
  { address, block, signal }: NodeCopy,
): Promise<boolean> {
  if (!(await isFree(context, id, address))) return false;
  const send = async (within: AbortSignal): Promise<void> => {
    await adapter.store(address, [block], { signal: within, replace: true });
    // An acknowledgement is no proof.
    await fetchVerified(adapter, address, context.blake3, { maxBytes: MAX_NODE_BYTES, signal: within });
  };
  try {
    await withDeadline(context.clock, STORE_MS, 'storing a manifest node', send, signal);
    return true;
  } catch {
    throwIfAborted(signal, 'repair');
    return false;
  }
}

/** A copy that a put gave up may still be on its way to being deleted there. */
const isFree = async (context: RecordsContext, provider: string, address: BlobAddress): Promise<boolean> =>
  (await readClaim(context, { provider, address })).isFree;
