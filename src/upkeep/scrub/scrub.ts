import { type AbortOptions, linkedAbort, throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { recordedTime } from '../../core/clock.ts';
import { HoldfastError } from '../../core/errors.ts';
import { damagedSegments, forgetNotes } from '../../records/damage.ts';
import { knowsManifest, orderKey, storedManifests } from '../../records/manifests.ts';
import type { UpkeepContext } from '../context.ts';
import { ScrubBatch } from './batch.ts';
import { BytePace, Lanes } from './lanes.ts';
import {
  MAX_PARTS,
  newScrub,
  readScrub,
  type ScrubCounts,
  type ScrubState,
  type Subset,
  writeScrub,
} from './state.ts';
import { type WalkedSegment, walkedSegments } from './walk.ts';

export interface ScrubOptions extends AbortOptions {
  /** Only a part of all blobs: of `of` parts the `part`-th, from 1. All parts together are everything, once. Default: all. */
  readonly subset?: Subset | undefined;
  /** Begin anew, though a scrub of this part was cut off. Default: go on where it was. */
  readonly restart?: boolean | undefined;
  /** Bytes a second that are read at most. Default: `scrub.bytes_per_second` of the configuration. */
  readonly bytesPerSecond?: number | undefined;
  readonly onProgress?: ((done: ScrubProgress) => void) | undefined;
}

export interface ScrubProgress {
  readonly manifests: number;
  readonly packs: number;
  readonly bytes: number;
}

/** What a provider has of what it should have. */
export interface ProviderScrub extends Readonly<ScrubCounts> {
  readonly provider: string;
  /** Why some of it is unknown; undefined while all of it is known. Of a scrub that was resumed: since then. */
  readonly why: string | undefined;
}

export interface ScrubResult {
  readonly subset: Subset;
  /** It went on with a scrub that was cut off; what that found is in here. */
  readonly resumed: boolean;
  readonly startedMs: number;
  readonly finishedMs: number;
  readonly manifests: number;
  readonly segments: number;
  /** Manifest nodes: how many there are, copies that are lacking, and copies that are not what they should be. */
  readonly nodes: { readonly checked: number; readonly missing: number; readonly corrupt: number };
  readonly providers: readonly ProviderScrub[];
  /** Everything that is missing or rotten: packs, and copies of nodes. */
  readonly damaged: number;
  /** Of which there was no room for a note: another scrub after the repair finds it. */
  readonly unnoted: number;
  /** Packs and copies whose provider gave no answer: nothing is known of them. */
  readonly unheard: number;
  /** Manifests of which a part could not be read: how many, and the first of them. */
  readonly unread: { readonly count: number; readonly first: readonly BlobAddress[] };
}

/** Manifests that are told. */
const MAX_TOLD = 16;

/**
 * Reads what the records of this vault say is at the providers, and notes what is missing or rotten for repair. Needs no key.
 * Where it is cut off, the next scrub of the same part goes on. A provider that gives no answer is a result, not an error, and
 * no damage.
 * @throws HoldfastError `ConfigInvalid`, code `bad_option`; `Aborted`; what the engine throws.
 */
export async function scrubStored(
  context: UpkeepContext,
  options: ScrubOptions & { readonly bytesPerSecond: number },
): Promise<ScrubResult> {
  const { subset = { part: 1, of: 1 }, restart = false, bytesPerSecond } = options;
  checkOptions(subset, bytesPerSecond);
  const stop = linkedAbort(options.signal, 'the scrub');
  const { signal } = stop;
  try {
    const stored = restart ? undefined : await readScrub(context.engine, subset, { signal });
    const resumed = stored !== undefined && stored.finishedMs === undefined;
    const state = resumed ? stored : newScrub(recordedTime(context.clock));
    const run = new ScrubRun(context, { ...options, subset, signal }, state);
    await run.all();
    await dropForgotten(context, { signal });
    state.finishedMs = recordedTime(context.clock);
    state.at = undefined;
    await writeScrub(context.engine, subset, state, { signal });
    return resultOf(subset, resumed, state, run.why);
  } finally {
    stop.dispose();
  }
}

/** Notes of objects that are no longer there: found while they were being removed. */
async function dropForgotten(context: UpkeepContext, options: AbortOptions): Promise<void> {
  for await (const { notes } of damagedSegments(context, options)) {
    for (const note of notes) {
      if (!(await knowsManifest(context, note.manifest))) await forgetNotes(context, [note], options);
    }
  }
}

function checkOptions({ part, of }: Subset, bytesPerSecond: number): void {
  const isPart = Number.isSafeInteger(of) && of >= 1 && of <= MAX_PARTS && Number.isSafeInteger(part);
  if (!isPart || part < 1 || part > of) {
    throw new HoldfastError('ConfigInvalid', `a scrub is of part n of m: 1 to m, m up to ${MAX_PARTS}`, {
      code: 'bad_option',
    });
  }
  if (!(bytesPerSecond >= 1)) {
    throw new HoldfastError('ConfigInvalid', 'a scrub reads at least one byte a second', {
      code: 'bad_option',
    });
  }
}

/** Works through all manifests, some segments at a time, and writes down how far it is after each. */
class ScrubRun {
  /** Why a provider gave no answer, by its id. */
  readonly why = new Map<string, string>();
  readonly #context: UpkeepContext;
  readonly #options: ScrubOptions & { readonly subset: Subset };
  readonly #state: ScrubState;
  readonly #lanes: Lanes;
  readonly #pace: BytePace;

  constructor(
    context: UpkeepContext,
    options: ScrubOptions & { readonly subset: Subset; readonly bytesPerSecond: number },
    state: ScrubState,
  ) {
    this.#context = context;
    this.#options = options;
    this.#state = state;
    this.#lanes = new Lanes(context, options);
    this.#pace = new BytePace(context.clock, options.bytesPerSecond);
  }

  async all(): Promise<void> {
    const { signal } = this.#options;
    let batch = this.#newBatch();
    for await (const { segment, storedMs } of this.#segments()) {
      batch.add(segment, storedMs);
      if (!batch.isFull) continue;
      await this.#finish(batch);
      batch = this.#newBatch();
    }
    throwIfAborted(signal, 'the scrub');
    await this.#finish(batch);
  }

  #newBatch(): ScrubBatch {
    return new ScrubBatch(this.#context, this.#options.subset);
  }

  async #finish(batch: ScrubBatch): Promise<void> {
    const { signal, subset, onProgress } = this.#options;
    await batch.check(this.#lanes, this.#pace, { signal });
    await batch.settle(this.#state, this.why, { signal });
    await writeScrub(this.#context.engine, subset, this.#state, { signal });
    const { manifests, providers } = this.#state;
    let [packs, bytes] = [0, 0];
    for (const its of providers.values()) {
      packs += its.packs;
      bytes += its.bytes;
    }
    onProgress?.({ manifests, packs, bytes });
  }

  async *#segments(): AsyncGenerator<{ readonly segment: WalkedSegment; readonly storedMs: number }> {
    const { signal } = this.#options;
    const { at } = this.#state;
    const gte = at && orderKey(at.storedMs, at.manifest);
    for await (const { manifest, storedMs } of storedManifests(this.#context, { signal, gte })) {
      const from = manifest === at?.manifest ? at.segments : 0;
      if (from === 0) this.#state.manifests++;
      let isUnread = false;
      const onUnread = (): void => {
        isUnread = true;
      };
      for await (const segment of walkedSegments(this.#context, manifest, { from, onUnread, signal })) {
        yield { segment, storedMs };
      }
      if (isUnread) this.#unread(manifest);
    }
  }

  #unread(manifest: BlobAddress): void {
    const { unread } = this.#state;
    unread.count++;
    if (unread.first.length < MAX_TOLD) unread.first.push(manifest);
  }
}

function resultOf(
  subset: Subset,
  resumed: boolean,
  state: ScrubState,
  why: ReadonlyMap<string, string>,
): ScrubResult {
  const { startedMs, finishedMs = startedMs, manifests, segments, nodes, unnoted, unread } = state;
  const providers = [...state.providers]
    .map(([provider, counts]) => ({ provider, ...counts, why: why.get(provider) }))
    .sort((a, b) => (a.provider < b.provider ? -1 : 1));
  const sum = (of: (its: ScrubCounts) => number): number =>
    providers.reduce((total, its) => total + of(its), 0);
  const damaged = nodes.missing + nodes.corrupt + sum(({ missing, corrupt }) => missing + corrupt);
  const unheard = sum((its) => its.unheard);
  const times = { startedMs, finishedMs };
  return {
    subset,
    resumed,
    ...times,
    manifests,
    segments,
    nodes,
    providers,
    damaged,
    unnoted,
    unheard,
    unread,
  };
}
