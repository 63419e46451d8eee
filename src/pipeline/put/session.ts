import type { LinearCode } from '../../coding/erasure/linear-code.ts';
import { addressOf, type BlobAddress } from '../../core/address.ts';
import type { ErrorCode, HoldfastError } from '../../core/errors.ts';
import { standings } from '../../core/standing.ts';
import type { ObjectKeys } from '../../keys/derivation.ts';
import { storeNode } from '../../object/store-node.ts';
import type { PlacementProvider } from '../../placement/domains.ts';
import { type Placement, rotate, solvePlacement } from '../../placement/solve.ts';
import type { Provider } from '../../providers/provider.ts';
import type { PutJournal } from '../../records/journal.ts';
import type { BlobAt } from '../../records/trash.ts';
import { timed } from '../../telemetry/metrics.ts';
import type { ShardMap, VaultContext } from '../context.ts';
import { slabBytes } from '../cpu/slab-layout.ts';
import { kernelFault } from '../cpu/write-check.ts';
import { CodecMemory } from './codec-memory.ts';

export interface PutProgress {
  /** Plaintext read so far. */
  readonly bytesRead: number;
  /** Bytes acknowledged by providers, redundancy included. */
  readonly bytesStored: number;
  /** Plaintext in all, if the source knows. */
  readonly totalBytes: number | undefined;
}

export interface FailedAttempt {
  readonly provider: string;
  readonly error: string;
  readonly code: ErrorCode;
  readonly bytes: number;
}

export interface NodeCopies {
  readonly wanted: number;
  readonly needed: number;
}

/** What one put knows while it runs. */
export class PutSession {
  readonly context: VaultContext;
  readonly signal: AbortSignal;
  readonly objectId: Uint8Array;
  readonly keys: ObjectKeys;
  readonly journal: PutJournal;
  /** Providers eligible when the put began; shard maps index this list. */
  readonly placed: readonly Provider[];
  readonly failed: Set<string> = new Set();
  readonly failedAttempts: FailedAttempt[] = [];
  /** Every blob acknowledged so far, for undoing. */
  readonly stored: BlobAt[] = [];
  /** Blobs that were sent and not acknowledged: they may or may not be there. */
  readonly #sent: Map<string, BlobAt> = new Map();
  /** Bytes of packs on their way, by provider: spoken for, and not yet counted as used. */
  readonly sending: Map<string, number> = new Map();
  readonly minTolerates: number;
  readonly codecs: CodecMemory;
  code: LinearCode;
  bytesStored = 0;
  /** Plaintext that what was acknowledged stands for. */
  plainStored = 0;
  readonly #scores: readonly number[];
  /** Found when it is first needed: a small object becomes copies before that. */
  #placement: Placement | undefined;
  #leads: readonly Provider[];
  /** Where the rotation starts, so that small objects even out too. */
  readonly #turn: number;
  readonly #maps: Map<string, ShardMap> = new Map();
  readonly #progress: (() => void) | undefined;

  constructor(
    context: VaultContext,
    setup: {
      readonly signal: AbortSignal;
      readonly objectId: Uint8Array;
      readonly keys: ObjectKeys;
      readonly journal: PutJournal;
      readonly placed: readonly Provider[];
      readonly scores: readonly number[];
      readonly code: LinearCode;
      readonly minTolerates: number;
      readonly onStored?: (() => void) | undefined;
    },
  ) {
    this.context = context;
    this.signal = setup.signal;
    this.objectId = setup.objectId;
    this.keys = setup.keys;
    this.journal = setup.journal;
    this.placed = setup.placed;
    this.#scores = setup.scores;
    this.code = setup.code;
    this.minTolerates = setup.minTolerates;
    this.codecs = new CodecMemory(context.policy.compression);
    this.#progress = setup.onStored;
    this.#turn = setup.objectId[0]! * 256 + setup.objectId[1]!;
    this.#leads = this.#best();
  }

  /** Providers that have not failed in this put. */
  get usable(): readonly Provider[] {
    return this.placed.filter((provider) => !this.failed.has(provider.id));
  }

  setCode(code: LinearCode): void {
    this.code = code;
    this.#placement = undefined;
  }

  /** Room for all shards of a chunk that does not shrink. */
  slabBytes(plainLength: number): number {
    return slabBytes(this.code, plainLength);
  }

  /** The provider that leads a chunk: it names its length, and the chunk's key is its. The best take turns. */
  keyProviderOf(chunk: number): Provider {
    return this.#leads[chunk % this.#leads.length]!;
  }

  /** Must resolve before a blob is sent. */
  async intend(provider: string, address: BlobAddress): Promise<void> {
    await this.journal.intend(provider, address);
    this.#sent.set(`${provider}/${address}`, { provider, address, bytes: 0 });
  }

  /** The provider would not have a blob: it cannot be there. */
  refused(provider: string, address: BlobAddress): void {
    this.#sent.delete(`${provider}/${address}`);
  }

  /** Blobs that may be at providers that failed, were given up on, or were being sent when all stopped. */
  get orphans(): readonly BlobAt[] {
    return [...this.#sent.values()];
  }

  /** Bytes of shards that were acknowledged, by provider. */
  get usage(): Map<string, number> {
    const usage = new Map<string, number>();
    for (const { provider, bytes } of this.stored) {
      if (bytes > 0) usage.set(provider, (usage.get(provider) ?? 0) + bytes);
    }
    return usage;
  }

  /** @param counted false for nodes: quota is of shards. */
  acknowledged(provider: string, address: BlobAddress, bytes: number, counted = true): void {
    this.#sent.delete(`${provider}/${address}`);
    this.stored.push({ provider, address, bytes: counted ? bytes : 0 });
    this.bytesStored += bytes;
    this.#progress?.();
  }

  plainAcknowledged(bytes: number): void {
    this.plainStored += bytes;
    this.#progress?.();
  }

  /** Later chunks avoid the provider; its shards of this segment move. */
  providerFailed(provider: Provider, error: HoldfastError, bytes: number): void {
    this.failedAttempts.push({ provider: provider.id, error: error.message, code: error.code, bytes });
    if (this.failed.has(provider.id)) return;
    this.failed.add(provider.id);
    if (this.usable.length === 0) return;
    this.#placement = undefined;
    this.#leads = this.#best();
  }

  /** Remembers how a chunk ended up, for the certificate. */
  recordMap(map: ShardMap): void {
    const key = map.join();
    if (!this.#maps.has(key)) this.#maps.set(key, map);
  }

  get maps(): readonly ShardMap[] {
    return [...this.#maps.values()];
  }

  /** Keeps a manifest node at usable providers. */
  async storeNode(bytes: Uint8Array, copies: NodeCopies): Promise<BlobAddress> {
    const intend = (provider: string, at: BlobAddress): Promise<void> => this.intend(provider, at);
    const { address, providers } = await timed(this.context, 'manifest', () =>
      storeNode(this.context, bytes, this.usable, copies, intend, this.signal),
    );
    for (const provider of providers) this.acknowledged(provider, address, bytes.length, false);
    const { policy, secondBlake3, blake3 } = this.context;
    if (policy.verifyWrites === 'full' && addressOf((await secondBlake3()).hash(bytes)) !== address) {
      throw kernelFault(`blake3 (${blake3.name})`, 'a manifest node has another address');
    }
    return address;
  }

  /** Where a chunk's shards should go now. */
  mapOf(chunk: number): ShardMap {
    this.#placement ??= this.#solve();
    return rotate(this.#placement, this.#turn + chunk);
  }

  /** `placed` as the solver sees it: without those that failed. */
  get candidates(): readonly (PlacementProvider & { readonly eligible: boolean })[] {
    return this.placed.map(({ id, domain }, i) => ({
      id,
      domain,
      score: this.#scores[i]!,
      eligible: !this.failed.has(id),
    }));
  }

  /** Those that nobody is far ahead of. */
  #best(): readonly Provider[] {
    const left = [...this.placed.keys()].filter((i) => !this.failed.has(this.placed[i]!.id));
    const standing = standings(left.map((i) => this.#scores[i]!));
    return left.filter((_, at) => standing[at] === 0).map((i) => this.placed[i]!);
  }

  #solve(): Placement {
    const { failureDomain } = this.context.policy;
    return solvePlacement({ code: this.code, providers: this.candidates, failureDomain });
  }
}
