import PQueue from 'p-queue';
import type { LeftOut } from '../../catalog/directory.ts';
import { OBJECT_ID_BYTES } from '../../coding/chunk-cipher.ts';
import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { recordedTime, timeoutSignal } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import type { BatchOp } from '../../engine/engine.ts';
import { deriveObjectKeys } from '../../keys/derivation.ts';
import type { Certificate } from '../../placement/certificate.ts';
import type { RetiredVersion } from '../../records/context.ts';
import { type Fork, hasOtherName } from '../../records/forks.ts';
import { generationOf, type Standing } from '../../records/generation.ts';
import { engineGenerationOf } from '../../records/generation-record.ts';
import { PutJournal } from '../../records/journal.ts';
import { rememberedRoot } from '../../records/manifests.ts';
import { backUpPointer } from '../../records/name-backup.ts';
import { checkName } from '../../records/name-record.ts';
import { type NameChange, pointName } from '../../records/names.ts';
import { noLongerRetired, retiring } from '../../records/retired.ts';
import { type BlobAt, deleteOrQueue, queueDeletes } from '../../records/trash.ts';
import { flushUsage } from '../../records/usage.ts';
import type { VaultContext } from '../context.ts';
import { type ObjectInput, toSource } from '../source.ts';
import { ChunkFeed, type FeedResult } from './chunk-feed.ts';
import type { FailedAttempt } from './failures.ts';
import { Outbox } from './outbox.ts';
import { type ChosenCode, chooseCode, nodeCopies, type PutPlan, planPut } from './plan.ts';
import { checkContentType, type StoredRoot, storeRoot } from './root.ts';
import { SegmentWriter } from './segment-writer.ts';
import { PutSession } from './session.ts';

export interface PutProgress {
  /** Plaintext read so far. */
  readonly bytesRead: number;
  /** Bytes acknowledged by providers, redundancy included. */
  readonly bytesStored: number;
  /** Plaintext in all, if the source knows. */
  readonly totalBytes: number | undefined;
}

export interface PutOptions {
  /** What the object can be got by. Without a name only its manifest address leads to it. */
  readonly name?: string | undefined;
  /** Its media type, up to 256 characters. Default: `application/octet-stream`. */
  readonly contentType?: string | undefined;
  /** Overrides `placement.min_tolerates`. */
  readonly minTolerates?: number | undefined;
  readonly onProgress?: ((progress: PutProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PutResult {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  readonly size: number;
  readonly certificate: Certificate;
  /** Bytes at the providers, redundancy and nodes included. */
  readonly stored: number;
  readonly failedAttempts: readonly FailedAttempt[];
  /** Providers that got no shards from the start, and why. */
  readonly leftOut: readonly LeftOut[];
  /** Blobs that providers which were given up on may still hold; deleted now, or queued for it. */
  readonly orphans: number;
  /** Providers that hold a copy of the name's pointer. */
  readonly pointerCopies: number;
  /**
   * Any this many failure domains may vanish together and a provider still has the name's pointer; −1 where none has.
   * Below the certificate's `tolerates`, recovery might lose the name with losses that the object survives; later
   * commands try to mend that.
   */
  readonly nameTolerates: number | undefined;
  /** Providers that did not say in time that they took one; they are told again later. */
  readonly pointerUnconfirmed: readonly string[];
  /** Versions of the name that the providers held and this state did not know of. */
  readonly forks: readonly Fork[];
  /**
   * A provider knows of changes that this state has not seen: the object is stored, and what it replaced is kept. Run
   * `holdfast recover`.
   */
  readonly stateBehind: boolean;
  /**
   * The manifest that the name stood for before; its blobs are deleted after `retention.replaced_seconds`. Undefined also
   * when forks were found, or the state is not known to be the latest: then they are left alone.
   */
  readonly replaced: BlobAddress | undefined;
}

/** Deletes at the end get this long; what is left then is queued. */
const CLOSE_MS = 10_000;
/** … and those of a put that succeeded this long: its orphans are at providers that are known to be slow or to fail. */
const ORPHANS_MS = 500;

/**
 * Stores one object. It is visible, under its name and by its manifest, only after every shard was acknowledged
 * and the certificate holds; a failure or abort before leaves everything as it was.
 * @throws HoldfastError `Unavailable` (`not_enough_providers`), `PermissionDenied` (`certificate_shortfall`),
 * `ConfigInvalid` (`bad_name`, `bad_content_type`), `Aborted`, and what the source throws.
 */
export async function putObject(
  context: VaultContext,
  input: ObjectInput,
  options: PutOptions = {},
): Promise<PutResult> {
  const name = options.name === undefined ? undefined : checkName(options.name);
  const contentType = checkContentType(options.contentType ?? 'application/octet-stream');
  const minTolerates = options.minTolerates ?? context.policy.minTolerates;
  recordedTime(context.clock);
  const source = await toSource(input);
  const stop = linkedAbort(options.signal, 'put');
  try {
    const plan = planPut(context, minTolerates, source.size);
    const claimed = context.places.claim(plan.placed, { signal: stop.signal });
    const chosen = await chooseCode(context, plan, minTolerates, source, stop.signal);
    const nameKey = name === undefined ? undefined : context.keys.nameKey(name);
    const journal = await PutJournal.begin(context, nameKey);
    const { onProgress } = options;
    const setup = { chosen, name, contentType, plan, minTolerates, journal, claimed, stop, onProgress };
    return await new Put(context, setup).run();
  } finally {
    context.metrics.putEta(0);
    stop.dispose();
    await source.close();
  }
}

interface PutSetup {
  readonly chosen: ChosenCode;
  readonly name: string | undefined;
  readonly contentType: string;
  readonly plan: PutPlan;
  readonly minTolerates: number;
  readonly journal: PutJournal;
  /** Resolves once nothing is to be waited for before blobs are sent. */
  readonly claimed: Promise<void>;
  readonly stop: LinkedAbort;
  readonly onProgress: PutOptions['onProgress'];
}

interface RetiredByPut {
  readonly version: RetiredVersion;
  /** False: another state may still lead to it. */
  readonly goes: boolean;
}

class Put {
  readonly #context: VaultContext;
  readonly #setup: PutSetup;
  readonly #objectKey: Uint8Array;
  readonly #outbox: Outbox;
  readonly #session: PutSession;
  readonly #writer: SegmentWriter;
  readonly #startedMs: number;
  #bytesRead = 0;

  constructor(context: VaultContext, setup: PutSetup) {
    const { chosen, plan, minTolerates, journal, claimed, stop } = setup;
    this.#context = context;
    this.#setup = setup;
    this.#startedMs = context.clock.monotonic();
    this.#objectKey = context.random(32);
    const intend: PutJournal['intend'] = async (provider, address) => {
      await Promise.all([journal.intend(provider, address), claimed]);
    };
    this.#outbox = new Outbox({ intend }, () => this.#progress());
    this.#session = new PutSession(context, {
      signal: stop.signal,
      objectId: context.random(OBJECT_ID_BYTES),
      keys: deriveObjectKeys(this.#objectKey),
      code: chosen.code,
      placed: plan.placed,
      scores: plan.scores,
      nodeCopies: nodeCopies(plan),
      minTolerates,
      outbox: this.#outbox,
    });
    const queue = new PQueue({ concurrency: context.policy.maxInflight });
    this.#writer = new SegmentWriter(this.#session, queue);
  }

  async run(): Promise<PutResult> {
    const generation = generationOf(this.#context);
    const asked = generation.standing().catch((): Standing => ({ state: 'unconfirmed', why: [] }));
    const { root, fed } = await this.#store();
    const standing = await asked;
    const { change, retired } = await this.#commit(root, fed.size);
    this.#measure(fed);
    const [backUp] = await Promise.all([
      change && this.#backUp(change, root.certificate),
      generation.publish(),
    ]);
    // Where states have parted, another may still lead to it under a name of its own.
    const goes = backUp?.forks.length === 0;
    const { orphans, bytesStored } = this.#outbox;
    await this.#close(orphans, ORPHANS_MS, retired && { version: retired, goes });
    return {
      manifest: root.address,
      name: this.#setup.name,
      size: fed.size,
      certificate: root.certificate,
      stored: bytesStored,
      failedAttempts: this.#session.failures.attempts,
      leftOut: this.#setup.plan.leftOut,
      orphans: orphans.length,
      pointerCopies: backUp?.copies ?? 0,
      nameTolerates: backUp && backUp.domains - 1,
      pointerUnconfirmed: backUp?.unconfirmed ?? [],
      forks: backUp?.forks ?? [],
      stateBehind: standing.state === 'behind',
      replaced: goes && standing.state === 'confirmed' ? retired?.manifest : undefined,
    };
  }

  /** Everything but the name. A failure leaves nothing behind. */
  async #store(): Promise<{ readonly root: StoredRoot; readonly fed: FeedResult }> {
    const { chosen, stop, name, contentType } = this.#setup;
    const feed = new ChunkFeed(this.#session, this.#writer, {
      source: chosen.source,
      onlyChunkBytes: chosen.onlyChunkBytes,
      onRead: (bytes) => {
        this.#bytesRead = bytes;
        this.#progress();
      },
    });
    const feeding = feed.run();
    try {
      const fed = await Promise.race([feeding, this.#writer.failure]);
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
      await this.#close([...this.#outbox.stored, ...this.#outbox.orphans], CLOSE_MS);
      throw fence?.code === 'put_fenced' ? fence : error;
    }
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
    const kept = rememberedRoot({ ...root, storedMs: createdMs, usage: this.#outbox.usage });
    if (name === undefined) {
      const ops = [...kept, journal.committed(address, undefined)];
      const generation = engineGenerationOf(this.#context.engine);
      const done = await generation.write(ops, journal.conditions, this.#context.random);
      if (!done) await journal.assertHeld();
      return {};
    }
    let retired: RetiredVersion | undefined;
    const also = async ({ replaced }: NameChange): Promise<BatchOp[]> => {
      retired = await this.#retired(name, replaced?.manifest);
      const noted = retired === undefined ? [] : [retiring(retired)];
      return [...kept, ...noted, journal.committed(address, retired?.manifest)];
    };
    const target = { manifest: address, size, createdMs };
    return { change: await pointName(this.#context, name, target, { also, fence: journal }), retired };
  }

  async #retired(name: string, before: BlobAddress | undefined): Promise<RetiredVersion | undefined> {
    const { clock, keys, retention } = this.#context;
    if (before === undefined || (await hasOtherName(this.#context, name, before))) return undefined;
    const sinceMs = recordedTime(clock);
    return {
      manifest: before,
      why: 'replaced',
      nameKey: keys.nameKey(name),
      sinceMs,
      dueMs: sinceMs + retention.replacedMs,
      attempts: 0,
      journal: this.#setup.journal.id,
    };
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
      await this.#setup.journal.end();
    } catch {
      // The put has succeeded, or failed for a better reason than this one.
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
