import PQueue from 'p-queue';
import type { LeftOut } from '../../catalog/directory.ts';
import { OBJECT_ID_BYTES } from '../../coding/chunk-cipher.ts';
import { type LinkedAbort, linkedAbort } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { recordedTime, timeoutSignal } from '../../core/clock.ts';
import { asHoldfastError } from '../../core/errors.ts';
import { deriveObjectKeys } from '../../keys/derivation.ts';
import { encodeRoot, type RootInput } from '../../manifest/root.ts';
import { type Certificate, certify } from '../../placement/certificate.ts';
import { type Fork, hasOtherName } from '../../records/forks.ts';
import { PutJournal } from '../../records/journal.ts';
import { rememberRoot } from '../../records/manifests.ts';
import { backUpPointer } from '../../records/name-backup.ts';
import { checkName, type NameChange, pointName, readName } from '../../records/names.ts';
import { type BlobAt, deleteOrQueue } from '../../records/trash.ts';
import { flushUsage, recordUsage } from '../../records/usage.ts';
import type { VaultContext } from '../context.ts';
import { slabBytes } from '../cpu/slab-layout.ts';
import { type ByteSource, type ObjectInput, toSource } from '../source.ts';
import { ChunkFeed, type FeedResult } from './chunk-feed.ts';
import { checkContentType } from './content-type.ts';
import { nodeCopies, type PutPlan, planPut, replicaCode, requireTolerance } from './plan.ts';
import { SegmentWriter } from './segment-writer.ts';
import { type FailedAttempt, type PutProgress, PutSession } from './session.ts';

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
  /** Providers that did not say in time that they took one; they are told again later. */
  readonly pointerUnconfirmed: readonly string[];
  /** Versions of the name that the providers held and this state did not know of. */
  readonly forks: readonly Fork[];
  /**
   * The manifest that the name stood for before; its blobs have been deleted or queued for it. Undefined also when forks
   * were found: then they were left alone.
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
    const nameKey = name === undefined ? undefined : context.keys.nameKey(name);
    const journal = await PutJournal.begin(context, nameKey);
    const put = new Put(context, { source, name, contentType, plan, minTolerates, journal, stop, options });
    return await put.run();
  } finally {
    context.metrics.putEta(0);
    stop.dispose();
    await source.close();
  }
}

interface PutSetup {
  readonly source: ByteSource;
  readonly name: string | undefined;
  readonly contentType: string;
  readonly plan: PutPlan;
  readonly minTolerates: number;
  readonly journal: PutJournal;
  readonly stop: LinkedAbort;
  readonly options: PutOptions;
}

class Put {
  readonly #context: VaultContext;
  readonly #setup: PutSetup;
  readonly #objectKey: Uint8Array;
  readonly #session: PutSession;
  readonly #writer: SegmentWriter;
  readonly #startedMs: number;
  #bytesRead = 0;
  /** What the name stands for before, if another name leads there too. */
  #shared: BlobAddress | undefined;

  constructor(context: VaultContext, setup: PutSetup) {
    this.#context = context;
    this.#setup = setup;
    this.#startedMs = context.clock.monotonic();
    this.#objectKey = context.random(32);
    this.#session = new PutSession(context, {
      signal: setup.stop.signal,
      objectId: context.random(OBJECT_ID_BYTES),
      keys: deriveObjectKeys(this.#objectKey),
      journal: setup.journal,
      placed: setup.plan.placed,
      scores: setup.plan.scores,
      code: context.policy.code,
      minTolerates: setup.minTolerates,
      onStored: () => this.#progress(),
    });
    const queue = new PQueue({ concurrency: context.policy.maxInflight });
    this.#writer = new SegmentWriter(this.#session, queue, nodeCopies(setup.plan));
  }

  async run(): Promise<PutResult> {
    const { root, fed } = await this.#store();
    const change = await this.#commit(root, fed.size);
    return this.#result(root, fed, change);
  }

  /** Everything but the name. A failure leaves nothing behind. */
  async #store(): Promise<{ readonly root: StoredRoot; readonly fed: FeedResult }> {
    const { stop } = this.#setup;
    try {
      const fed = await this.#feed();
      const body = await this.#writer.finish();
      stop.signal.throwIfAborted();
      const root = await this.#storeRoot(fed, body);
      return { root, fed };
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      stop.abort(error);
      await this.#writer.settled();
      await this.#close([...this.#session.stored, ...this.#session.orphans], CLOSE_MS);
      throw error;
    }
  }

  async #feed(): Promise<FeedResult> {
    const { source, stop, plan, minTolerates } = this.#setup;
    const { replicaBelowBytes } = this.#context.policy;
    const refusals = plan.leftOut.map(({ id, why }) => `${id}: ${why}`);
    const copies = replicaCode(plan);
    const feed = new ChunkFeed(this.#session, source, this.#writer, {
      onRead: (bytes) => {
        if (bytes > replicaBelowBytes) requireTolerance(plan.certificate, minTolerates, refusals);
        this.#bytesRead = bytes;
        this.#progress();
      },
      onSingle: (size) => {
        if (size <= replicaBelowBytes) this.#session.setCode(copies);
      },
      firstSlabBytes: slabBytes(copies, replicaBelowBytes),
      fail: (error) => stop.abort(asHoldfastError(error)),
    });
    return feed.run();
  }

  async #storeRoot(fed: FeedResult, body: RootInput['body']): Promise<StoredRoot> {
    const { context, code, maps, placed, signal } = this.#session;
    const { failureDomain } = context.policy;
    const certificate = certify({ code, providers: placed, failureDomain, placements: maps });
    requireTolerance(certificate, this.#setup.minTolerates, this.#failures());
    const createdMs = recordedTime(context.clock);
    const bytes = encodeRoot(
      {
        objectId: this.#session.objectId,
        code: code.params,
        compression: context.policy.compression,
        chunkLen: this.#writer.maxChunkLen,
        chunks: fed.chunks,
        providers: [...new Set(maps.flatMap((map) => [...map].map((i) => placed[i]!.id)))].sort(),
        certificate,
        body,
        secrets: {
          name: this.#setup.name,
          contentType: this.#setup.contentType,
          size: fed.size,
          plainHash: fed.plainHash,
          createdMs,
        },
      },
      this.#objectKey,
      context.keys.wrap,
      context.random,
    );
    const address = await this.#session.storeNode(bytes, nodeCopies(this.#setup.plan));
    signal.throwIfAborted();
    return { bytes, address, certificate, createdMs };
  }

  /** A write that failed here may still have been done: only the journal's sweep, later, can tell. */
  async #commit(root: StoredRoot, size: number): Promise<NameChange | undefined> {
    const { journal, name } = this.#setup;
    const before = name === undefined ? undefined : (await readName(this.#context, name))?.manifest;
    this.#shared =
      before !== undefined && (await hasOtherName(this.#context, name!, before)) ? before : undefined;
    await journal.committing(root.address, this.#shared === undefined ? before : undefined);
    await rememberRoot(this.#context, root.bytes, root.createdMs);
    await recordUsage(this.#context, root.address, this.#session.usage);
    if (name === undefined) return undefined;
    const target = { manifest: root.address, size, createdMs: root.createdMs };
    return pointName(this.#context, name, target);
  }

  async #result(root: StoredRoot, fed: FeedResult, change: NameChange | undefined): Promise<PutResult> {
    const { context, code, usable, bytesStored, failedAttempts, orphans } = this.#session;
    const labels = { erasure: code.params.algorithm, compression: context.policy.compression };
    context.metrics.putObject((context.clock.monotonic() - this.#startedMs) / 1000, labels);
    context.metrics.objectChunkSizes(fed.firstChunkBytes, fed.lastFullChunkBytes);
    const backUp =
      change && (await backUpPointer(context, change, usable, nodeCopies(this.#setup.plan).wanted));
    // Where states have parted, another may still lead to it under a name of its own.
    const before = backUp?.forks.length === 0 ? change?.replaced?.manifest : undefined;
    const replaced = before === this.#shared ? undefined : before;
    await this.#close(orphans, ORPHANS_MS, replaced);
    return {
      manifest: root.address,
      name: this.#setup.name,
      size: fed.size,
      certificate: root.certificate,
      stored: bytesStored,
      failedAttempts,
      leftOut: this.#setup.plan.leftOut,
      orphans: orphans.length,
      pointerCopies: backUp?.copies ?? 0,
      pointerUnconfirmed: backUp?.unconfirmed ?? [],
      forks: backUp?.forks ?? [],
      replaced,
    };
  }

  /** Deletes what nobody needs and closes the journal. What fails stays in the journal, for a sweep to finish. */
  async #close(blobs: readonly BlobAt[], blobsMs: number, replaced?: BlobAddress): Promise<void> {
    const signal = timeoutSignal(this.#context.clock, CLOSE_MS);
    try {
      await deleteOrQueue(this.#context, blobs, { signal: timeoutSignal(this.#context.clock, blobsMs) });
      if (replaced !== undefined) await this.#context.retention.replaced(replaced, { signal });
      await flushUsage(this.#context);
      await this.#setup.journal.end();
    } catch {
      // The put has succeeded, or failed for a better reason than this one.
    }
  }

  #failures(): string[] {
    return this.#session.failedAttempts.map(({ provider, error }) => `${provider}: ${error}`);
  }

  #progress(): void {
    const totalBytes = this.#setup.source.size;
    this.#setup.options.onProgress?.({
      bytesRead: this.#bytesRead,
      bytesStored: this.#session.bytesStored,
      totalBytes,
    });
    const { plainStored } = this.#session;
    if (totalBytes === undefined || plainStored <= 0) return;
    const seconds = (this.#context.clock.monotonic() - this.#startedMs) / 1000;
    this.#context.metrics.putEta((seconds * Math.max(0, totalBytes - plainStored)) / plainStored);
  }
}

interface StoredRoot {
  readonly bytes: Uint8Array;
  readonly address: BlobAddress;
  readonly certificate: Certificate;
  readonly createdMs: number;
}
