import type { SettledEpoch, Settlement } from '../../catalog/quota.ts';
import { equalBytes, toHex } from '../../core/bytes.ts';
import { type Clock, recordedTime, withDeadline } from '../../core/clock.ts';
import { asHoldfastError, HoldfastError } from '../../core/errors.ts';
import type { Anchor, AnchorItem, AnchorState } from '../anchors/anchor.ts';
import { loadRoot } from '../close.ts';
import type { Ed25519 } from '../ed25519/ed25519.ts';
import { finalPath, listEpochs } from '../log/folder.ts';
import type { Place } from '../log/load.ts';
import { EPOCH_MS } from '../records/grants.ts';
import { isRootSigned } from '../records/root.ts';
import { decodeFinal, encodeFinal, MAX_FINAL_BYTES } from './final.ts';

/** How an hour of a folder stands. */
export interface EpochStanding {
  readonly epoch: number;
  /**
   * `anchoring`: handed to the anchor; `confirming`: not deep enough there; `failed`: to be tried again; `refused`: not before
   * somebody has looked; `lost`: credited, and no longer where it was anchored; `moving`: credited by another anchor, and
   * handed to this one.
   */
  readonly state: 'credited' | 'anchoring' | 'confirming' | 'failed' | 'refused' | 'lost' | 'moving';
  readonly why?: string | undefined;
  /** Of `why`. */
  readonly code?: string | undefined;
  /** In the anchor. */
  readonly depth?: number | undefined;
}

export interface WatchedFolder extends Place {
  readonly ed25519: Pick<Ed25519, 'verify'>;
  readonly clock: Clock;
  readonly settlement: Required<Pick<Settlement, 'issueRead' | 'bookedRead'>>;
  /** Depth at which an anchored root counts. */
  readonly confirmations: number;
}

/** An hour that has a root, as it was read. */
interface Hour {
  readonly epoch: number;
  readonly settled: SettledEpoch;
  readonly item: AnchorItem;
}

/** What is known from before of where the hours that are credited are. */
export interface WatchRound {
  /** The anchor is another than the one that they were in: that it does not have them is no loss. */
  readonly isMoving?: boolean | undefined;
  /** Looked for however old they are. */
  readonly lost?: readonly number[] | undefined;
}

/** Clocks differ. */
const MAX_AHEAD_MS = 5 * 60_000;
/** Hours that are worked on at a time. */
const WINDOW = 64;
/** So many of the last that were credited are looked for in the anchor again. */
const WATCHED = 168;
/** Of them, and of those that are lost. */
const MAX_WATCHED = 4_096;
/** For one answer of an anchor, a disk or a settlement. */
const DEADLINE_MS = 60_000;

/**
 * Sees that every root of a folder is anchored, that it says so in a final once it lies deep enough, and that it is credited
 * then. Each step is done once however often it is tried, and what a process that was killed has not done the next one does.
 */
export class FolderWatcher {
  readonly #options: WatchedFolder;
  readonly #credited = new Set<number>();
  /** Of the last of them, and of those that were lost. */
  readonly #watched = new Map<number, AnchorItem>();
  readonly #lost = new Set<number>();

  constructor(options: WatchedFolder) {
    this.#options = options;
  }

  /**
   * Goes as far as it can be gone now.
   * @returns how each hour stands that is not as it should be, and those that were credited just now.
   */
  async round(anchor: Anchor, signal?: AbortSignal, known: WatchRound = {}): Promise<EpochStanding[]> {
    const { files, folder } = this.#options;
    for (const epoch of known.lost ?? []) {
      this.#lost.add(epoch);
      if (!this.#watched.has(epoch)) this.#credited.delete(epoch);
    }
    const { roots, finals } = await this.#soon(() => listEpochs(files, folder), signal);
    const hasFinal = new Set(finals);
    const open = roots.filter((epoch) => !this.#credited.has(epoch) || !hasFinal.has(epoch));
    const standings: EpochStanding[] = [];
    for (let at = 0; at < open.length; at += WINDOW) {
      const hours: Hour[] = [];
      for (const epoch of open.slice(at, at + WINDOW)) {
        const hour = await this.#load(epoch, hasFinal.has(epoch), signal).catch(standing(epoch, signal));
        if (hour === undefined) continue;
        if ('settled' in hour) hours.push(hour);
        else standings.push(hour);
      }
      standings.push(...(await this.#advance(hours, anchor, signal)));
    }
    standings.push(...(await this.#lookBack(anchor, known.isMoving === true, signal)));
    return standings.sort((a, b) => a.epoch - b.epoch);
  }

  /** Undefined: it has a final and is credited. */
  async #load(epoch: number, hasFinal: boolean, signal: AbortSignal | undefined): Promise<Hour | undefined> {
    const { settlement, blake3, ed25519 } = this.#options;
    const { bytes, root } = await this.#soon(() => loadRoot(this.#options, epoch), signal);
    const { gateway, providers, credited } = root;
    const settled = { gateway, epoch, digest: blake3.hash(bytes), providers };
    const key = `${toHex(gateway)}/${epoch}`;
    const item: AnchorItem = { kind: 'epoch', key, digest: settled.digest, total: credited };
    const booked = await this.#soon(
      (within) => settlement.bookedRead(gateway, epoch, { signal: within }),
      signal,
    );
    if (booked !== undefined && !equalBytes(booked, settled.digest)) throw otherRoot(epoch, 'credited');
    if (booked !== undefined && hasFinal) {
      this.#note(epoch, item);
      return undefined;
    }
    if (root.epoch !== epoch) throw refused(epoch, `it says that it is of epoch ${root.epoch}`);
    if ((epoch + 1) * EPOCH_MS > this.#options.clock.now() + MAX_AHEAD_MS) throw notOver(epoch);
    if (!isRootSigned(root, ed25519)) throw refused(epoch, 'its signature is not valid');
    return { epoch, settled, item };
  }

  async #advance(hours: readonly Hour[], anchor: Anchor, signal?: AbortSignal): Promise<EpochStanding[]> {
    if (hours.length === 0) return [];
    const standings: EpochStanding[] = [];
    let states = await this.#look(hours, anchor, signal);
    const absent = hours.filter((_, i) => states[i]!.state === 'absent');
    const failures = await this.#submit(absent, anchor, signal);
    if (absent.length > 0) states = await this.#look(hours, anchor, signal);
    for (const [i, hour] of hours.entries()) {
      const { epoch } = hour;
      const state = states[i]!;
      const failure = failures.get(epoch);
      if (failure !== undefined) standings.push(failure);
      else if (state.state !== 'included') standings.push({ epoch, state: 'anchoring' });
      else if (state.depth < this.#options.confirmations)
        standings.push({ epoch, state: 'confirming', depth: state.depth });
      else {
        const settle = this.#settle(hour, state, anchor, signal);
        standings.push(await settle.catch(standing(epoch, signal)));
      }
    }
    return standings;
  }

  /** One that cannot be handed over keeps none of the others from it. */
  async #submit(
    hours: readonly Hour[],
    anchor: Anchor,
    signal?: AbortSignal,
  ): Promise<ReadonlyMap<number, EpochStanding>> {
    const failures = new Map<number, EpochStanding>();
    const hand = (some: readonly Hour[]): Promise<void> =>
      this.#soon((within) => anchor.submit(itemsOf(some), within), signal);
    if (hours.length === 0) return failures;
    try {
      await hand(hours);
    } catch (error) {
      signal?.throwIfAborted();
      const isConflict = asHoldfastError(error).kind === 'Conflict';
      for (const hour of hours) {
        if (isConflict)
          await hand([hour]).catch((one) => void failures.set(hour.epoch, standing(hour.epoch, signal)(one)));
        else failures.set(hour.epoch, standing(hour.epoch, signal)(error));
      }
    }
    return failures;
  }

  async #settle(
    { epoch, settled, item }: Hour,
    { depth, where }: AnchorState & { readonly state: 'included' },
    anchor: Anchor,
    signal: AbortSignal | undefined,
  ): Promise<EpochStanding> {
    const { files, folder, clock, settlement } = this.#options;
    const path = finalPath(folder, epoch);
    const { gateway, digest } = settled;
    const mine = { gateway, epoch, digest, anchor: anchor.name, where, depth, at: recordedTime(clock) };
    // Also where there is one: whoever wrote it may not have come to flushing it.
    await this.#soon(() => files.place(path, encodeFinal(mine)), signal);
    const found = await this.#soon(() => files.read(path, MAX_FINAL_BYTES), signal);
    const final = decodeFinal(found ?? new Uint8Array(0));
    if (!equalBytes(final.digest, digest)) throw otherRoot(epoch, 'found anchored');
    await this.#soon((within) => settlement.issueRead(settled, { signal: within }), signal);
    this.#note(epoch, item);
    return { epoch, state: 'credited', depth };
  }

  /** What was credited stays so. That a chain has forgotten it somebody must know. */
  async #lookBack(
    anchor: Anchor,
    isMoving: boolean,
    signal: AbortSignal | undefined,
  ): Promise<EpochStanding[]> {
    const items = [...this.#watched].map(([epoch, item]) => ({ epoch, item }));
    const standings: EpochStanding[] = [];
    for (let at = 0; at < items.length; at += WINDOW) {
      const some = items.slice(at, at + WINDOW);
      const states = await this.#look(some, anchor, signal);
      const absent = some.filter((_, i) => states[i]!.state !== 'included');
      for (const { epoch } of some) this.#lost.delete(epoch);
      if (absent.length === 0) continue;
      for (const { epoch } of absent) {
        if (!isMoving) this.#lost.add(epoch);
        standings.push(isMoving ? { epoch, state: 'moving' } : { epoch, state: 'lost', ...LOST });
      }
      await this.#soon((within) => anchor.submit(itemsOf(absent), within), signal).catch((error: unknown) => {
        signal?.throwIfAborted();
        const { epoch } = absent[0]!;
        standings.push(standing(epoch, signal)(error));
      });
    }
    return standings;
  }

  #look(hours: readonly Pick<Hour, 'item'>[], anchor: Anchor, signal?: AbortSignal): Promise<AnchorState[]> {
    return this.#soon((within) => anchor.look(itemsOf(hours), within), signal);
  }

  #note(epoch: number, item: AnchorItem): void {
    this.#credited.add(epoch);
    this.#watched.set(epoch, item);
    const others = [...this.#watched.keys()].filter((one) => !this.#lost.has(one));
    if (others.length > WATCHED || this.#watched.size > MAX_WATCHED)
      this.#watched.delete(Math.min(...(others.length > WATCHED ? others : this.#watched.keys())));
  }

  #soon<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return withDeadline(this.#options.clock, DEADLINE_MS, 'settle', work, signal);
  }
}

const LOST = {
  why: 'it was anchored and credited, and is not there any more; it is handed over again',
  code: 'anchor_lost',
};

const itemsOf = (hours: readonly Pick<Hour, 'item'>[]): AnchorItem[] => hours.map(({ item }) => item);

/** What went wrong with one hour, and nothing with the others. */
const standing =
  (epoch: number, signal: AbortSignal | undefined) =>
  (error: unknown): EpochStanding => {
    signal?.throwIfAborted();
    const { kind, code, message, status } = asHoldfastError(error);
    const isFinal = (kind === 'Corrupt' || kind === 'Conflict') && status !== 'temporary';
    const state = isFinal ? 'refused' : 'failed';
    return { epoch, state, why: message, code };
  };

const refused = (epoch: number, why: string): HoldfastError =>
  new HoldfastError('Corrupt', `the root of epoch ${epoch} is not credited: ${why}`, {
    code: 'root_refused',
    hint: 'Audit the epoch, and restore the root from a copy.',
  });

/** A gateway whose clock is ahead, or that makes up hours: each could earn its part of the pool. */
const notOver = (epoch: number): HoldfastError =>
  new HoldfastError('Unavailable', `epoch ${epoch} has a root and is not over by the clock of this machine`, {
    code: 'epoch_not_over',
    hint: 'Compare the clocks of this machine and of the gateway. It is credited once it is over.',
  });

const otherRoot = (epoch: number, what: string): HoldfastError =>
  new HoldfastError('Conflict', `epoch ${epoch} was ${what} by another root than the one that is here`, {
    code: 'settled_otherwise',
    hint: 'Two machines sign with one key, or a root was replaced. Nothing more is credited for it.',
  });
