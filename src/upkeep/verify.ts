import PQueue from 'p-queue';
import { parityHolds } from '../coding/erasure/parity-check.ts';
import { type AbortOptions, linkedAbort, throwIfAborted } from '../core/abort.ts';
import type { BlobAddress } from '../core/address.ts';
import { equalBytes } from '../core/bytes.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { MAX_NODE_BYTES } from '../manifest/limits.ts';
import type { OpenRoot, RootRecord } from '../manifest/root.ts';
import { type Damage, DamageLog, problemOf } from '../object/damage.ts';
import { publicNodes, publicSegments, type SegmentView, shardDigest } from '../object/segment-view.ts';
import type { Slab } from '../pipeline/arena.ts';
import type { VaultContext } from '../pipeline/context.ts';
import { type Certificate, Certifier } from '../placement/certificate.ts';
import { NOT_PLACED } from '../placement/domains.ts';
import type { Provider } from '../providers/provider.ts';
import { fetchVerified } from '../providers/verified.ts';
import { refuseIfBehind, whyUnreadable } from '../records/behind.ts';
import { openManifest } from '../records/manifests.ts';
import { resolveReference } from '../records/names.ts';
import { type DeepResult, readDeeply, withDeep } from './deep.ts';
import { RollCall } from './roll-call.ts';

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
  /** With `deep` only. */
  readonly deep?: DeepResult | undefined;
}

export interface VerifyOptions extends AbortOptions {
  /** Also checks that the shards belong together, and reads, decrypts and compares the whole object. */
  readonly deep?: boolean | undefined;
  readonly onProgress?: ((done: { readonly chunks: number; readonly of: number }) => void) | undefined;
}

/**
 * Reads back every shard of an object and checks it against the manifest, authenticated first. Reads only; needs the
 * memory of one segment's largest chunk at a time.
 * @throws HoldfastError `NotFound`; `Corrupt` when the manifest itself is not authentic; `Unavailable`, code
 * `state_behind`, for what cannot be read because this state is older than the objects; `Aborted`.
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
  const explained = async (error: unknown): Promise<never> => {
    throw pointer === undefined ? error : await whyUnreadable(context, pointer, error, options.signal);
  };
  const root = await openManifest(context, manifest, damage, options).catch(explained);
  const check = new ObjectCheck(context, root, damage, options);
  try {
    const name = pointer?.name ?? root.secrets.name;
    const result = { manifest, name, ...(await runCheck(check, manifest, options).catch(explained)) };
    if (!result.readable && pointer !== undefined) await refuseIfBehind(context, pointer, options.signal);
    if (!options.deep) return result;
    const opened = { manifest, root };
    return withDeep(result, await readDeeply(context, opened, check.chunksWithWrongParity, options.signal));
  } finally {
    check.close();
  }
}

async function runCheck(
  check: ObjectCheck,
  manifest: BlobAddress,
  { onProgress }: VerifyOptions,
): Promise<Omit<VerifyResult, 'manifest' | 'name'>> {
  const { damage, record } = check;
  const nodes = await check.nodes(manifest);
  let done = 0;
  for await (const view of check.segments()) {
    for (let chunk = 0; chunk < view.shardLengths.length; chunk++) {
      await check.chunk(view, chunk);
      done++;
      onProgress?.({ chunks: done, of: record.chunks });
    }
  }
  const live = check.certificate();
  return {
    intact: damage.total === 0,
    readable: live.tolerates >= 0,
    chunks: done,
    shards: check.shards,
    bytesRead: check.bytesRead,
    nodes,
    damage: damage.found,
    damageTotal: damage.total,
    corrupt: damage.corrupt,
    certificate: { stored: record.certificate, live },
  };
}

class ObjectCheck {
  shards = 0;
  bytesRead = 0;
  chunksWithWrongParity = 0;
  readonly #context: VaultContext;
  readonly record: RootRecord;
  readonly damage: DamageLog;
  readonly #signal: AbortSignal | undefined;
  readonly #queue: PQueue;
  readonly #providers: readonly Provider[];
  readonly #deep: boolean;
  #certifier: Certifier | undefined;
  /** Who does not answer is asked once, then counted as gone. */
  readonly #rollCall: RollCall;

  constructor(
    context: VaultContext,
    root: OpenRoot,
    damage: DamageLog,
    { signal, deep }: Pick<VerifyOptions, 'signal' | 'deep'>,
  ) {
    this.#context = context;
    this.record = root.record;
    this.damage = damage;
    this.#signal = signal;
    this.#deep = deep === true;
    this.#queue = new PQueue({ concurrency: context.policy.maxInflight });
    this.#providers = context.directory.all();
    this.#rollCall = new RollCall(context, this.#queue, signal);
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
    for await (const { address } of publicNodes(this.#context, this.record, this.damage, this.#signal)) {
      await count(address);
    }
    return { total, leastCopies };
  }

  async *segments(): AsyncGenerator<SegmentView> {
    const segments = publicSegments(this.#context, this.record, this.damage, this.#signal);
    for await (const { view } of segments) yield view;
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
      await this.#rollCall.askAll(all, providerOf, async (shard, signal) => {
        if (!(await this.#shard(view, chunk, shard, slab.bytes, signal))) return;
        places[shard] = this.#providers.findIndex((provider) => provider.id === providerOf(shard));
      });
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
    this.damage.add({ ...where, problem: problemOf(problem), detail: problem.message });
    return false;
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
