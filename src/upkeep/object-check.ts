import PQueue from 'p-queue';
import { parityHolds } from '../coding/erasure/parity-check.ts';
import { type AbortOptions, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { equalBytes } from '../core/bytes.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { MAX_NODE_BYTES } from '../manifest/limits.ts';
import type { RootRecord } from '../manifest/root.ts';
import { type DamageLog, problemOf } from '../object/damage.ts';
import { type PublicManifest, publicNodes, publicSegments } from '../object/manifest-tree.ts';
import { locate, type Place, type SegmentView, shardDigest } from '../object/places.ts';
import type { Slab } from '../pipeline/arena.ts';
import type { ReadContext } from '../pipeline/context.ts';
import { type Certificate, Certifier } from '../placement/certificate.ts';
import { NOT_PLACED } from '../placement/domains.ts';
import { fetchVerified } from '../providers/guard.ts';
import type { Provider } from '../providers/provider.ts';
import { RollCall } from './roll-call.ts';

interface ShardAt {
  readonly shard: number;
  readonly place: Place;
}

/** Reads back what one object has at the providers, and keeps account of it. */
export class ObjectCheck {
  shards = 0;
  bytesRead = 0;
  chunksWithWrongParity = 0;
  readonly #context: ReadContext;
  readonly #object: PublicManifest;
  readonly damage: DamageLog;
  readonly #signal: AbortSignal | undefined;
  readonly #queue: PQueue;
  readonly #providers: readonly Provider[];
  readonly #deep: boolean;
  #certifier: Certifier | undefined;
  /** Who does not answer is asked once, then counted as gone. */
  readonly #rollCall: RollCall;

  constructor(
    context: ReadContext,
    object: PublicManifest,
    damage: DamageLog,
    { signal, deep }: AbortOptions & { readonly deep?: boolean | undefined },
  ) {
    this.#context = context;
    this.#object = object;
    this.damage = damage;
    this.#signal = signal;
    this.#deep = deep === true;
    this.#queue = new PQueue({ concurrency: context.policy.maxInflight });
    this.#providers = context.directory.all();
    this.#rollCall = new RollCall(context, this.#queue, signal);
  }

  get record(): RootRecord {
    return this.#object.record;
  }

  /** Counts good copies of the root and of every node below it. A copy that lies is damage; too few show in the count. */
  async nodes(): Promise<{ total: number; leastCopies: number }> {
    let total = 0;
    let leastCopies = Number.POSITIVE_INFINITY;
    const count = async (address: BlobAddress): Promise<void> => {
      const copies = await this.#copiesOf(address);
      total++;
      leastCopies = Math.min(leastCopies, copies);
    };
    await count(this.#object.manifest);
    for await (const { address } of publicNodes(this.#context, this.record, this.damage, this.#signal)) {
      await count(address);
    }
    return { total, leastCopies };
  }

  segments(): AsyncIterable<SegmentView> {
    return publicSegments(this.#context, this.#object, this.damage, this.#signal);
  }

  /** Reads all shards of a chunk: each where it ought to be, and where it may be too if it is not there. */
  async chunk(view: SegmentView, chunk: number): Promise<void> {
    const { code } = view;
    const places = new Uint8Array(code.totalShards).fill(NOT_PLACED);
    const slab = await this.#context.arena.allocate(
      code.totalShards * view.shardLengths[chunk]!,
      this.#signal,
    );
    this.shards += code.totalShards;
    try {
      let missing = Array.from({ length: code.totalShards }, (_, shard) => shard);
      for (let nth = 0; missing.length > 0; nth++) {
        const reads = missing.flatMap((shard) => {
          const place = locate(view, chunk, shard, nth);
          return place === undefined ? [] : [{ shard, place }];
        });
        await this.#rollCall.askAll(reads, providerOf, async (read, signal) => {
          const problem = await this.#shard(view, chunk, read, slab.bytes, signal);
          if (problem === undefined) places[read.shard] = this.#providerIndex(providerOf(read));
          // Where it may be too, it need not be.
          else if (nth === 0) this.#damaged(view, chunk, read, problem);
        });
        missing = reads.flatMap(({ shard }) => (places[shard] === NOT_PLACED ? [shard] : []));
      }
      const complete = this.#deep && !places.includes(NOT_PLACED);
      if (complete && !this.#belongTogether(view, chunk, slab)) this.chunksWithWrongParity++;
    } finally {
      this.#context.arena.release(slab);
    }
    throwIfAborted(this.#signal, 'verify');
    this.#certifier ??= new Certifier({
      code,
      providers: this.#providers,
      failureDomain: this.record.certificate.domains.level,
    });
    this.#certifier.add(places);
  }

  close(): void {
    this.#rollCall.close();
  }

  /** Whether the parity is that of the data: every digest may be right and the shards were put wrong all the same. */
  #belongTogether({ code, shardLengths }: SegmentView, chunk: number, slab: Slab): boolean {
    const { arena, random } = this.#context;
    const length = shardLengths[chunk]!;
    const offsets = Array.from({ length: code.totalShards }, (_, shard) => slab.offset + shard * length);
    const seed = new DataView(random(4).buffer).getInt32(0);
    return parityHolds(code, arena.memory.buffer, offsets, length, seed);
  }

  certificate(): Certificate {
    if (this.#certifier === undefined) throw new HoldfastError('Corrupt', 'the manifest names no chunk');
    return this.#certifier.certificate();
  }

  /** @returns what is wrong with a shard at a place. */
  async #shard(
    view: SegmentView,
    chunk: number,
    { shard, place: { pack, offset } }: ShardAt,
    slab: Uint8Array,
    signal: AbortSignal,
  ): Promise<HoldfastError | undefined> {
    const length = view.shardLengths[chunk]!;
    const into = slab.subarray(shard * length, (shard + 1) * length);
    return this.#attempt(pack.provider, async (provider) => {
      await provider.adapter.fetchRange(pack.address, offset, [into], { signal });
      this.bytesRead += length;
      const right = equalBytes(this.#context.blake3.hash(into), shardDigest(view, chunk, shard));
      if (!right) throw new HoldfastError('HashMismatch', 'the shard has other bytes than the manifest says');
    });
  }

  #damaged(view: SegmentView, chunk: number, { shard, place }: ShardAt, problem: HoldfastError): void {
    const { provider, address } = place.pack;
    const where = { provider, blob: address, chunk: view.record.firstChunk + chunk, shard };
    this.damage.add({ ...where, problem: problemOf(problem), detail: problem.message });
  }

  #providerIndex(id: string): number {
    return this.#providers.findIndex((provider) => provider.id === id);
  }

  async #copiesOf(address: BlobAddress): Promise<number> {
    let copies = 0;
    const idOf = ({ id }: Provider): string => id;
    await this.#rollCall.askAll(this.#providers, idOf, async ({ id }, signal) => {
      const problem = await this.#attempt(id, async ({ adapter }) => {
        await fetchVerified(adapter, address, this.#context.blake3, { maxBytes: MAX_NODE_BYTES, signal });
      });
      if (problem === undefined) copies++;
      else if (problemOf(problem) === 'corrupt')
        this.damage.add({ provider: id, problem: 'corrupt', blob: address });
    });
    return copies;
  }

  /** @returns what went wrong. */
  async #attempt(
    id: string,
    work: (provider: Provider) => Promise<void>,
  ): Promise<HoldfastError | undefined> {
    const silent = this.#rollCall.whyNot(id);
    if (silent !== undefined) return new HoldfastError('Unavailable', silent);
    const provider = this.#context.directory.get(id);
    if (provider === undefined)
      return new HoldfastError('Unavailable', 'the provider is not in the configuration');
    try {
      await work(provider);
      return undefined;
    } catch (thrown) {
      throwIfAborted(this.#signal, 'verify');
      const error = asHoldfastError(thrown);
      const unheard = this.#rollCall.whyNot(id);
      if (unheard !== undefined) return new HoldfastError('Unavailable', unheard);
      if (problemOf(error) === 'unavailable') this.#rollCall.failed(id, error.message);
      return error;
    }
  }
}

const providerOf = ({ place }: ShardAt): string => place.pack.provider;
