import PQueue from 'p-queue';
import { OBJECT_ID_BYTES } from '../../coding/chunk-cipher.ts';
import type { LinkedAbort } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { timeoutSignal } from '../../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import type { BatchOp } from '../../engine/engine.ts';
import { deriveObjectKeys } from '../../keys/derivation.ts';
import type { Pointer } from '../../manifest/pointer.ts';
import type { Certificate } from '../../placement/certificate.ts';
import type { BlobAt } from '../../records/claims.ts';
import type { RetiredVersion } from '../../records/context.ts';
import { deleteOrQueue, queueDeletes } from '../../records/deletes.ts';
import { replacedVersion } from '../../records/forks.ts';
import { generationOf, type Standing } from '../../records/generation.ts';
import { engineGenerationOf } from '../../records/generation-record.ts';
import { type PutJournal, putFenced } from '../../records/journal.ts';
import { rememberedRoot } from '../../records/manifests.ts';
import { backUpPointer } from '../../records/name-backup.ts';
import { type NameChange, nameChanged, pointNameFrom } from '../../records/names.ts';
import { noLongerRetired, retiring } from '../../records/retired.ts';
import { takeBack } from '../../records/take-back.ts';
import type { FileVersion } from '../../records/unfinished.ts';
import { flushUsage } from '../../records/usage.ts';
import type { VaultContext } from '../context.ts';
import { ChunkFeed, type FeedResult } from './chunk-feed.ts';
import { Outbox } from './outbox.ts';
import { type ChosenCode, nodeCopies, type PutPlan } from './plan.ts';
import type { PutProgress, PutResult } from './put-result.ts';
import { copyNode, type Resumed } from './resume.ts';
import { interrupted, ResumeLog } from './resume-log.ts';
import { type StoredRoot, storeRoot } from './root.ts';
import { SegmentWriter } from './segment-writer.ts';
import { PutSession } from './session.ts';
import type { HashState, StoredSegment } from './stored-parts.ts';

/** Deletes at the end get this long; what is left then is queued. */
const CLOSE_MS = 10_000;
/** … and those of a put that succeeded this long: its orphans are at providers that are known to be slow or to fail. */
const ORPHANS_MS = 500;

interface PutSetup {
  readonly chosen: ChosenCode;
  readonly name: string | undefined;
  readonly contentType: string;
  readonly plan: PutPlan;
  readonly minTolerates: number;
  readonly journal: PutJournal;
  /** Resolves once nothing is to be waited for before blobs are sent. */
  readonly entered: Promise<void>;
  readonly stop: LinkedAbort;
  /** Whether the caller wants no more of it. */
  readonly isInterrupted: () => boolean;
  readonly hashes: HashState;
  readonly resumed: Resumed | undefined;
  /** Set where the put can be taken up again. */
  readonly version: FileVersion | undefined;
  readonly onProgress: ((progress: PutProgress) => void) | undefined;
  /** What the name must stand for still when it is committed; undefined: whatever it does. */
  readonly over: BlobAddress | undefined;
}

interface RetiredByPut {
  readonly version: RetiredVersion;
  /** False: another state may still lead to it. */
  readonly goes: boolean;
}

/** One put, from its first byte to its end. */
export class PutRun {
  readonly #context: VaultContext;
  readonly #setup: PutSetup;
  readonly #objectKey: Uint8Array;
  readonly #outbox: Outbox;
  readonly #session: PutSession;
  readonly #writer: SegmentWriter;
  readonly #log: ResumeLog | undefined;
  readonly #startedMs: number;
  #bytesRead = 0;

  constructor(context: VaultContext, setup: PutSetup) {
    const { chosen, plan, minTolerates, journal, entered, stop, resumed, version: source } = setup;
    this.#context = context;
    this.#setup = setup;
    this.#startedMs = context.clock.monotonic();
    this.#objectKey = resumed?.objectKey ?? context.random(32);
    const objectId = resumed?.objectId ?? context.random(OBJECT_ID_BYTES);
    const keys = deriveObjectKeys(this.#objectKey);
    const placed = resumed?.providers ?? plan.placed;
    const intend: PutJournal['intend'] = async (provider, address) => {
      await Promise.all([journal.intend(provider, address), entered]);
    };
    this.#outbox = new Outbox({ intend }, () => this.#progress());
    this.#session = new PutSession(context, {
      signal: stop.signal,
      objectId,
      keys,
      code: chosen.code,
      placed,
      scores: placed.map((_, place) => plan.scores[place] ?? 1),
      nodeCopies: nodeCopies(plan),
      minTolerates,
      outbox: this.#outbox,
    });
    const queue = new PQueue({ concurrency: context.policy.maxInflight });
    const made = { objectKey: this.#objectKey, objectId, code: chosen.code.params };
    const put = source && { ...made, source, compression: context.policy.compression };
    this.#log = put && new ResumeLog(context, journal, put, keys);
    this.#writer = new SegmentWriter(this.#session, queue, this.#log);
    if (resumed !== undefined) this.#beginWith(resumed);
  }

  #beginWith({ parts, providers, leftovers }: Resumed): void {
    const { placements } = this.#session;
    for (const { id } of providers.slice(this.#setup.plan.placed.length)) placements.exclude(id);
    for (const map of parts.maps) placements.record(map);
    for (const { provider, address, bytes, length } of parts.held) {
      this.#outbox.acknowledged(provider, address, length, bytes > 0 ? 'shards' : 'node');
    }
    for (const blob of leftovers) this.#outbox.leftover(blob);
    this.#outbox.plainAcknowledged(this.#resumedBytes);
    this.#log?.beginWith(new Map(this.#stored.map(({ firstChunk, link }) => [firstChunk, link.plainBytes])));
  }

  /** Segments that an earlier run stored. */
  get #stored(): readonly StoredSegment[] {
    const { beginning = [], later = [] } = this.#setup.resumed?.parts ?? {};
    return [...beginning, ...later];
  }

  get #resumedBytes(): number {
    return this.#stored.reduce((sum, { link }) => sum + link.plainBytes, 0);
  }

  async run(): Promise<Omit<PutResult, 'begunAnew'>> {
    const generation = generationOf(this.#context);
    const asked = generation.standing().catch((): Standing => ({ state: 'unconfirmed', why: [] }));
    const { root, fed } = await this.#store();
    const standing = await asked;
    if (this.#setup.resumed !== undefined) await this.#assertNotBehind();
    const { change, retired } = await this.#commit(root, fed.size);
    this.#measure(fed);
    const [backUp, published] = await Promise.all([
      change && this.#backUp(change, root.certificate),
      generation.publish(),
    ]);
    if (published.condemned.has(this.#setup.journal.id)) await this.#takeBack(root, change);
    // Where states have parted, another may still lead to it under a name of its own.
    const goes = backUp?.forks.length === 0;
    const { orphans, bytesStored } = this.#outbox;
    // Where no majority said that nobody condemned it, the journal stays, and the sweep asks again.
    if (published.reached) await this.#close(orphans, ORPHANS_MS, retired && { version: retired, goes });
    else await this.#leave(orphans);
    return {
      manifest: root.address,
      name: this.#setup.name,
      size: fed.size,
      certificate: root.certificate,
      resumedBytes: this.#resumedBytes,
      stored: bytesStored,
      failedAttempts: this.#session.failures.attempts,
      leftOut: this.#setup.plan.leftOut,
      ...{ orphans: orphans.length, pointerCopies: backUp?.copies ?? 0 },
      nameTolerates: backUp && backUp.domains - 1,
      pointerUnconfirmed: backUp?.unconfirmed ?? [],
      forks: backUp?.forks ?? [],
      stateBehind: standing.state === 'behind',
      unconfirmed: !published.reached,
      replaced: goes && standing.state === 'confirmed' ? retired?.manifest : undefined,
    };
  }

  /** What the state did not see may lead to the blobs that were taken up, and would lose them with this object. */
  async #assertNotBehind(): Promise<void> {
    const generation = generationOf(this.#context);
    await generation.heads();
    if ((await generation.standing()).state !== 'behind') return;
    throw new HoldfastError('Unavailable', 'the providers know of changes that this state has not seen', {
      code: 'state_behind',
      hint: 'Nothing became visible. Run `holdfast recover`, then put the file again.',
    });
  }

  /** Everything but the name. A failure leaves nothing behind. */
  async #store(): Promise<{ readonly root: StoredRoot; readonly fed: FeedResult }> {
    const { chosen, stop, name, contentType } = this.#setup;
    const feed = new ChunkFeed(this.#session, this.#writer, {
      source: chosen.source,
      onlyChunkBytes: chosen.onlyChunkBytes,
      hashes: this.#setup.hashes,
      stored: this.#stored,
      start: this.#setup.resumed?.parts.beginning.at(-1)?.end ?? 0,
      resumable: this.#log !== undefined,
      onRead: (bytes) => {
        this.#bytesRead = bytes;
        this.#progress();
      },
    });
    const feeding = feed.run();
    try {
      const fed = await Promise.race([feeding, this.#writer.failure]);
      for (const key of this.#setup.resumed?.parts.lacking ?? []) {
        await copyNode(this.#context, this.#session, key);
      }
      const body = await this.#writer.finish();
      stop.signal.throwIfAborted();
      const { maxChunkLen: chunkLen } = this.#writer;
      const seal = { objectKey: this.#objectKey, wrap: this.#context.keys.wrap };
      const root = await storeRoot(this.#session, { ...fed, body, chunkLen, name, contentType }, seal);
      stop.signal.throwIfAborted();
      return { root, fed };
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      stop.abort(error);
      await Promise.allSettled([feeding]);
      await this.#writer.settled();
      const fence = await this.#setup.journal.assertHeld().catch(asHoldfastError);
      if (fence === undefined && this.#setup.isInterrupted() && (this.#log?.storedBytes ?? 0) > 0) {
        await flushUsage(this.#context).catch(() => {});
        throw interrupted(this.#log!.storedBytes, this.#setup.version!.size, error);
      }
      await this.#undo();
      throw fence?.code === 'put_fenced' ? fence : error;
    }
  }

  /** What another run might still take up stays; a sweep will undo it in time. */
  async #undo(): Promise<void> {
    const forgotten = await this.#log?.forget().catch(asHoldfastError);
    if (forgotten !== undefined) return;
    await this.#close([...this.#outbox.stored, ...this.#outbox.orphans], CLOSE_MS);
  }

  /**
   * A write that failed here may still have been done: only the journal's sweep, later, can tell.
   * @returns with `retired` what the name stood for, unless another name leads there too.
   */
  async #commit(
    root: StoredRoot,
    size: number,
  ): Promise<{ readonly change?: NameChange; readonly retired?: RetiredVersion | undefined }> {
    const { journal, name } = this.#setup;
    const { address, createdMs } = root;
    const kept = [
      ...rememberedRoot({ ...root, storedMs: createdMs, usage: this.#outbox.usage }),
      ...(await this.#writer.rows.write(this.#context.engine, address)),
      ...(this.#context.alsoOfPut?.({ address, size }) ?? []),
    ];
    if (name === undefined) {
      const ops = [...kept, journal.committed(address, undefined)];
      const generation = engineGenerationOf(this.#context.engine);
      const done = await generation.write(ops, journal.conditions, this.#context.random);
      if (!done) await journal.assertHeld();
      return {};
    }
    let retired: RetiredVersion | undefined;
    const also = async ({ replaced }: NameChange): Promise<BatchOp[]> => {
      retired = await replacedVersion(this.#context, name, replaced?.manifest, journal.id);
      const noted = retired === undefined ? [] : [retiring(retired)];
      return [...kept, ...noted, journal.committed(address, replaced?.manifest)];
    };
    const target = { manifest: address, size, createdMs };
    const { over } = this.#setup;
    const agreed = (current: Pointer | undefined): boolean =>
      over === undefined || current?.manifest === over;
    const change = await pointNameFrom(this.#context, name, target, agreed, { also, fence: journal });
    if (change !== undefined) return { change, retired };
    await this.#undo();
    throw nameChanged(name);
  }

  /** A copy of this state took the put for dead, and may have deleted what it stored. */
  async #takeBack({ address }: StoredRoot, change: NameChange | undefined): Promise<never> {
    const { journal, name } = this.#setup;
    const nameKey = name === undefined ? undefined : this.#context.keys.nameKey(name);
    const taken = { journal: journal.id, nameKey, manifest: address, obsolete: change?.replaced?.manifest };
    await takeBack(this.#context, taken);
    await generationOf(this.#context).publish();
    await this.#close(this.#outbox.orphans, CLOSE_MS);
    throw putFenced();
  }

  /** The name outlives whatever the object does. */
  #backUp(change: NameChange, { tolerates }: Certificate): ReturnType<typeof backUpPointer> {
    const needed = tolerates + 1;
    const wanted = Math.max(needed, nodeCopies(this.#setup.plan).wanted);
    return backUpPointer(this.#context, change, this.#session.placements.usable, { wanted, needed });
  }

  #measure(fed: FeedResult): void {
    const { clock, metrics, policy } = this.#context;
    const labels = { erasure: this.#session.code.params.algorithm, compression: policy.compression };
    metrics.putObject((clock.monotonic() - this.#startedMs) / 1000, labels);
    metrics.objectChunkSizes(fed.firstChunkBytes, fed.lastFullChunkBytes);
  }

  /** Deletes what nobody needs and closes the journal. What fails stays in the journal, for a sweep to finish. */
  async #close(blobs: readonly BlobAt[], blobsMs: number, retired?: RetiredByPut): Promise<void> {
    const signal = timeoutSignal(this.#context.clock, CLOSE_MS);
    try {
      const settled = blobs.filter((blob) => this.#outbox.settling(blob) === undefined);
      await this.#deleteLater(blobs.filter((blob) => !settled.includes(blob)));
      await deleteOrQueue(this.#context, settled, { signal: timeoutSignal(this.#context.clock, blobsMs) });
      if (retired !== undefined) await this.#retire(retired, signal);
      await flushUsage(this.#context);
      await this.#setup.journal.end(this.#log?.entries);
    } catch {
      // The put has succeeded, or failed for a better reason than this one.
    }
  }

  async #leave(orphans: readonly BlobAt[]): Promise<void> {
    try {
      await queueDeletes(this.#context, orphans);
      await flushUsage(this.#context);
    } catch {
      // The put has succeeded.
    }
  }

  async #retire({ version, goes }: RetiredByPut, signal: AbortSignal): Promise<void> {
    const { engine, retention } = this.#context;
    if (!goes) await engine.batch([noLongerRetired(version)]);
    else if (retention.replacedMs === 0) await retention.retire(version, { signal });
  }

  /** Blobs that may yet appear: deleted now they would be found by nobody. Queued again, should the queue be emptied before. */
  async #deleteLater(blobs: readonly BlobAt[]): Promise<void> {
    await queueDeletes(this.#context, blobs);
    for (const blob of blobs) {
      const settled = this.#outbox.settling(blob) ?? Promise.resolve();
      settled.then(() => queueDeletes(this.#context, [blob])).catch(() => {});
    }
  }

  #progress(): void {
    const { onProgress, chosen } = this.#setup;
    const totalBytes = chosen.source.size;
    const { bytesStored, plainStored } = this.#outbox;
    onProgress?.({ bytesRead: this.#bytesRead, bytesStored, totalBytes });
    if (totalBytes === undefined || plainStored <= 0) return;
    const seconds = (this.#context.clock.monotonic() - this.#startedMs) / 1000;
    this.#context.metrics.putEta((seconds * Math.max(0, totalBytes - plainStored)) / plainStored);
  }
}
