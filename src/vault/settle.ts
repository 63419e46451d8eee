import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Settlement } from '../catalog/quota.ts';
import { type AbortOptions, abortable } from '../core/abort.ts';
import { asHoldfastError, HoldfastError } from '../core/errors.ts';
import { entryOf } from '../core/maps.ts';
import { engineLogMemory } from '../receipts/anchors/log-memory.ts';
import { epochOf } from '../receipts/records/grants.ts';
import { AnchorWatch } from '../receipts/settlement/anchor-watch.ts';
import { LedgerSettlement } from '../receipts/settlement/settlement.ts';
import { type EpochStanding, FolderWatcher, type WatchRound } from '../receipts/settlement/watcher.ts';
import { anchorIdOf, logIdOf } from './anchor.ts';
import type { ComposedVault } from './assemble.ts';
import { openLog } from './open-anchor.ts';
import { receiptParts } from './open-receipts.ts';
import { receiptFoldersOf, type SettledFolder, type SettleResult } from './settlement.ts';

/** Moves what gateways wrote down to who is credited for it, for as long as a vault is open. */
export class VaultSettling {
  readonly #composed: ComposedVault;
  /** They remember what they have seen credited. */
  readonly #watchers = new Map<string, FolderWatcher>();
  readonly #watch: AnchorWatch;
  /** What was told of the hours with which something is wrong. */
  #told = new Set<string>();
  #turn: Promise<unknown> = Promise.resolve();

  constructor(composed: ComposedVault) {
    this.#composed = composed;
    this.#watch = new AnchorWatch(composed.context);
  }

  /** One round after another. @throws HoldfastError `ConfigInvalid`, code `settlement_off`; `Corrupt`, code `ledger_damaged`. */
  async settle({ signal }: AbortOptions): Promise<SettleResult> {
    const round = this.#turn.catch(() => undefined).then(() => this.#round(signal));
    this.#turn = round;
    return abortable(round, signal, 'settle');
  }

  async #round(signal: AbortSignal | undefined): Promise<SettleResult> {
    const { config, settlement, log } = this.#composed;
    signal?.throwIfAborted();
    const credited = creditsReads(settlement);
    // A ledger that is damaged is told of before anything else.
    if (settlement instanceof LedgerSettlement) await settlement.ledger.check({ signal });
    const folders: SettledFolder[] = [];
    for (const { folder, isNamed } of receiptFoldersOf(config)) {
      try {
        if (!isNamed && !(await isFolder(folder))) continue;
        folders.push({ folder, epochs: await this.#settleFolder(folder, credited, signal) });
      } catch (error) {
        signal?.throwIfAborted();
        const { code, message } = asHoldfastError(error);
        folders.push({ folder, epochs: [], error: { code, message } });
      }
    }
    await this.#watch.keepOnly(
      receiptFoldersOf(config).map(({ folder }) => folder),
      { signal },
    );
    this.#tell(folders, log);
    const rentHours = await this.#payRent(signal);
    await this.#measure(folders, signal);
    return { folders, rentHours };
  }

  async #settleFolder(
    folder: string,
    settlement: Required<Settlement>,
    signal: AbortSignal | undefined,
  ): Promise<EpochStanding[]> {
    const { config, context, env } = this.#composed;
    if (!(await isFolder(folder))) throw noFolder(folder);
    // Where none is configured, each gateway's roots are in a log of their own.
    const own = this.#composed.anchor;
    const log = join(folder, 'anchor');
    const anchor = own ?? (await openLog({ folder: log }, engineLogMemory(context.engine)));
    const id = (own && anchorIdOf(config)) ?? logIdOf(log);
    try {
      const parts = await receiptParts(folder, env);
      const confirmations =
        anchor.name === 'local'
          ? anchor.confirmations
          : config.settlement.confirmations || anchor.confirmations;
      const watcher = entryOf(
        this.#watchers,
        folder,
        () => new FolderWatcher({ ...parts, clock: context.clock, settlement, confirmations }),
      );
      return await this.#watched(folder, id, (known) => watcher.round(anchor, signal, known), signal);
    } finally {
      if (own === undefined) await anchor.close();
    }
  }

  /** A round that knows what others found out, and tells them. */
  async #watched(
    folder: string,
    anchor: string,
    round: (known: WatchRound) => Promise<EpochStanding[]>,
    signal: AbortSignal | undefined,
  ): Promise<EpochStanding[]> {
    const isMoving = (await this.#watch.anchorOf(folder, { signal })) !== anchor;
    const lost = await this.#watch.lost({ folder, signal });
    const epochs = await round({ isMoving, lost: lost.map(({ epoch }) => epoch) });
    const now = epochs.filter(({ state }) => state === 'lost').map(({ epoch }) => epoch);
    await this.#watch.setLost(folder, now, { signal });
    if (isMoving && !epochs.some(({ state }) => state === 'moving'))
      await this.#watch.setAnchor(folder, anchor, { signal });
    return epochs;
  }

  async #payRent(signal: AbortSignal | undefined): Promise<number> {
    const { settlement, catalog, context } = this.#composed;
    if (!(settlement instanceof LedgerSettlement)) return 0;
    await catalog.refresh({ signal });
    const stored = new Map(catalog.snapshot().map(({ id, usedBytes }) => [id, usedBytes]));
    return settlement.payRent(stored, { epoch: epochOf(context.clock.now()) }, { signal });
  }

  async #measure(folders: readonly SettledFolder[], signal: AbortSignal | undefined): Promise<void> {
    const { settlement, observers } = this.#composed;
    const counts = { anchoring: 0, confirming: 0, failed: 0, refused: 0, lost: 0, moving: 0 };
    for (const { epochs } of folders)
      for (const { state } of epochs) if (state !== 'credited') counts[state]++;
    for (const [state, count] of Object.entries(counts)) observers.housekeeping.unsettled(state, count);
    if (settlement instanceof LedgerSettlement)
      observers.housekeeping.rewardPool(await settlement.poolCredits({ signal }));
  }

  /** Once for as long as it is so. */
  #tell(folders: readonly SettledFolder[], log: ComposedVault['log']): void {
    const now = new Set<string>();
    for (const { folder, epochs, error } of folders) {
      if (error !== undefined) this.#say(now, log, { folder, ...error });
      for (const { epoch, state, why, code } of epochs)
        if (why !== undefined) this.#say(now, log, { folder, epoch, state, code, message: why });
    }
    this.#told = now;
  }

  #say(now: Set<string>, log: ComposedVault['log'], fields: Readonly<Record<string, unknown>>): void {
    const key = JSON.stringify(fields);
    now.add(key);
    if (!this.#told.has(key)) log('warn', 'not_settled', fields);
  }
}

function creditsReads(settlement: Settlement): Required<Settlement> {
  if (settlement.issueRead !== undefined && settlement.bookedRead !== undefined)
    return settlement as Required<Settlement>;
  throw new HoldfastError('ConfigInvalid', 'nobody is credited for reads here', {
    code: 'settlement_off',
    hint: 'Set `enabled = true` and `folders` in [settlement].',
  });
}

const isFolder = async (folder: string): Promise<boolean> =>
  (await stat(folder).catch(() => undefined))?.isDirectory() === true;

const noFolder = (folder: string): HoldfastError =>
  new HoldfastError('NotFound', `${folder} is no folder that can be read`, {
    code: 'no_such_epoch',
    hint: 'Give in settlement.folders those that have `read/` in them.',
  });
