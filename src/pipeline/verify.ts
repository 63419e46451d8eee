import PQueue from 'p-queue';
import { type AbortOptions, allOrFirstError, linkedAbort, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { equalBytes } from '../core/bytes.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { MAX_NODE_BYTES } from '../manifest/limits.ts';
import type { OpenRoot } from '../manifest/root.ts';
import { type Certificate, Certifier } from '../placement/certificate.ts';
import { NOT_PLACED } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import { fetchVerified } from '../providers/verified.ts';
import { type Damage, DamageLog, problemOf } from './damage.ts';
import { Laggards } from './laggards.ts';
import { openManifest } from './manifests.ts';
import { resolveReference } from './names.ts';
import { publicNodes, publicSegments, type SegmentView, shardDigest } from './object-view.ts';
import type { VaultContext } from './ports.ts';
import { CHECKS } from './stragglers.ts';

export interface VerifyResult {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  /** True when every shard and every node is where, and what, the manifest says. */
  readonly intact: boolean;
  /** True when the object can be read in full right now. */
  readonly readable: boolean;
  readonly chunks: number;
  readonly shards: number;
  readonly bytesRead: number;
  readonly nodes: { readonly total: number; readonly leastCopies: number };
  readonly damage: readonly Damage[];
  /** How much damage there is in all; `damage` lists at most 10,000. */
  readonly damageTotal: number;
  /** Whether any bytes were wrong, rather than missing. */
  readonly corrupt: boolean;
  /** As it was put, and as it is with what was found. */
  readonly certificate: { readonly stored: Certificate; readonly live: Certificate };
}

export interface VerifyOptions extends AbortOptions {
  readonly onProgress?: ((done: { readonly chunks: number; readonly of: number }) => void) | undefined;
}

/**
 * Reads back every shard of an object and checks it against the manifest, authenticated first. Reads only; needs the
 * memory of one segment's largest chunk at a time.
 * @throws HoldfastError `NotFound`; `Corrupt` when the manifest itself is not authentic; `Aborted`.
 */
export async function verifyObject(
  context: VaultContext,
  reference: string,
  options: VerifyOptions = {},
): Promise<VerifyResult> {
  const stop = linkedAbort(options.signal, 'verify');
  try {
    return await runVerify(context, reference, { ...options, signal: stop.signal });
  } finally {
    stop.dispose();
  }
}

async function runVerify(
  context: VaultContext,
  reference: string,
  options: VerifyOptions & { readonly signal: AbortSignal },
): Promise<VerifyResult> {
  const { manifest, pointer } = await resolveReference(context, reference, options);
  const damage = new DamageLog();
  const root = await openManifest(context, manifest, damage, options);
  const check = new ObjectCheck(context, root, damage, options.signal);
  const nodes = await check.nodes(manifest);
  let done = 0;
  for await (const { view } of publicSegments(context, root.record, damage, options.signal)) {
    for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
      await check.chunk(view, chunk);
      done++;
      options.onProgress?.({ chunks: done, of: root.record.chunks });
    }
  }
  const live = check.certificate();
  return {
    manifest,
    name: pointer?.name ?? root.secrets.name,
    intact: damage.total === 0,
    readable: live.tolerates >= 0,
    chunks: done,
    shards: check.shards,
    bytesRead: check.bytesRead,
    nodes,
    damage: damage.found,
    damageTotal: damage.total,
    corrupt: damage.corrupt,
    certificate: { stored: root.record.certificate, live },
  };
}

class ObjectCheck {
  shards = 0;
  bytesRead = 0;
  readonly #context: VaultContext;
  readonly #root: OpenRoot;
  readonly #damage: DamageLog;
  readonly #signal: AbortSignal | undefined;
  readonly #queue: PQueue;
  readonly #providers: readonly Provider[];
  #certifier: Certifier | undefined;
  /** Providers that did not answer: asked once, then counted as gone. */
  readonly #silent: Map<string, string> = new Map();

  constructor(context: VaultContext, root: OpenRoot, damage: DamageLog, signal: AbortSignal | undefined) {
    this.#context = context;
    this.#root = root;
    this.#damage = damage;
    this.#signal = signal;
    this.#queue = new PQueue({ concurrency: context.policy.maxInflight });
    this.#providers = context.directory.all();
  }

  /** Counts good copies of the root and of every node below it. A copy that lies is damage; too few show in the count. */
  async nodes(root: BlobAddress): Promise<{ total: number; leastCopies: number }> {
    let total = 0;
    let leastCopies = Number.POSITIVE_INFINITY;
    const count = async (address: BlobAddress): Promise<void> => {
      const copies = await this.#copiesOf(address);
      total++;
      leastCopies = Math.min(leastCopies, copies);
    };
    await count(root);
    for await (const { address } of publicNodes(
      this.#context,
      this.#root.record,
      this.#damage,
      this.#signal,
    )) {
      await count(address);
    }
    return { total, leastCopies };
  }

  async chunk(view: SegmentView, chunk: number): Promise<void> {
    const { code, record } = view;
    const places = new Uint8Array(code.totalShards).fill(NOT_PLACED);
    const slab = await this.#context.arena.allocate(
      code.totalShards * view.shardLengths[chunk]!,
      this.#signal,
    );
    const providerOf = (shard: number): string =>
      record.packs[record.places[chunk * code.totalShards + shard]!]!.provider;
    const all = Array.from({ length: code.totalShards }, (_, shard) => shard);
    try {
      await this.#askAll(all, providerOf, async (shard, signal) => {
        if (!(await this.#shard(view, chunk, shard, slab.bytes, signal))) return;
        places[shard] = this.#providers.findIndex((provider) => provider.id === providerOf(shard));
      });
    } finally {
      this.#context.arena.release(slab);
    }
    throwIfAborted(this.#signal, 'verify');
    this.#certifier ??= new Certifier({
      code,
      providers: this.#providers,
      failureDomain: this.#root.record.certificate.domains.level,
    });
    this.#certifier.add(places);
  }

  certificate(): Certificate {
    if (this.#certifier === undefined) throw new HoldfastError('Corrupt', 'the manifest names no chunk');
    return this.#certifier.certificate();
  }

  /** Reads of all providers at once. One that gets nothing done while others do, and answers no probe, is silent. */
  async #askAll<T>(
    reads: readonly T[],
    providerOf: (read: T) => string,
    ask: (read: T, signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    const { clock, directory } = this.#context;
    const laggards = new Laggards(clock, CHECKS);
    const askOne = async (id: string, its: readonly T[]): Promise<void> => {
      const silent = (): void => {
        this.#silent.set(id, 'it does not answer, while others do: not confirmed');
        directory.late(id);
      };
      const turn = laggards.begin(this.#signal, 'verify', silent, (signal) =>
        directory.answers(id, { signal }),
      );
      const timed = async (read: T): Promise<void> => {
        const started = clock.monotonic();
        await ask(read, turn.signal);
        if (!this.#silent.has(id)) turn.progressed(clock.monotonic() - started);
      };
      await allOrFirstError(its.map((read) => this.#queue.add(() => timed(read)))).finally(() => turn.end());
    };
    const byProvider = new Map<string, T[]>();
    for (const read of reads) entryOf(byProvider, providerOf(read), () => []).push(read);
    try {
      await allOrFirstError([...byProvider].map(([id, its]) => askOne(id, its)));
    } finally {
      laggards.close();
    }
  }

  async #shard(
    view: SegmentView,
    chunk: number,
    shard: number,
    slab: Uint8Array,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { record, code, layout } = view;
    const at = chunk * code.totalShards + shard;
    const pack = record.packs[record.places[at]!]!;
    const length = view.shardLengths[chunk]!;
    const into = slab.subarray(shard * length, (shard + 1) * length);
    this.shards++;
    const problem = await this.#attempt(pack.provider, async (provider) => {
      await provider.adapter.fetchRange(pack.address, layout.offsets[at]!, [into], { signal });
      this.bytesRead += length;
      const right = equalBytes(this.#context.blake3.hash(into), shardDigest(view, chunk, shard));
      if (!right) throw new HoldfastError('HashMismatch', 'the shard has other bytes than the manifest says');
    });
    if (problem === undefined) return true;
    const where = { provider: pack.provider, blob: pack.address, chunk: record.firstChunk + chunk, shard };
    this.#damage.add({ ...where, problem: problemOf(problem), detail: problem.message });
    return false;
  }

  async #copiesOf(address: BlobAddress): Promise<number> {
    let copies = 0;
    const idOf = ({ id }: Provider): string => id;
    await this.#askAll(this.#providers, idOf, async ({ id }, signal) => {
      const problem = await this.#attempt(id, async ({ adapter }) => {
        await fetchVerified(adapter, address, this.#context.blake3, { maxBytes: MAX_NODE_BYTES, signal });
      });
      if (problem === undefined) copies++;
      else if (problemOf(problem) === 'corrupt')
        this.#damage.add({ provider: id, problem: 'corrupt', blob: address });
    });
    return copies;
  }

  /** @returns what went wrong. */
  async #attempt(
    id: string,
    work: (provider: Provider) => Promise<void>,
  ): Promise<HoldfastError | undefined> {
    const silent = this.#silent.get(id);
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
      const unheard = this.#silent.get(id);
      if (unheard !== undefined) return new HoldfastError('Unavailable', unheard);
      if (problemOf(error) === 'unavailable') this.#silent.set(id, error.message);
      return error;
    }
  }
}
