import { resolve } from 'node:path';
import { configuredCredits, type Settlement } from '../catalog/quota.ts';
import type { Config } from '../config/types.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { LedgerOptions } from '../receipts/settlement/ledger.ts';
import { LedgerSettlement } from '../receipts/settlement/settlement.ts';
import type { EpochStanding } from '../receipts/settlement/watcher.ts';

/** What quotas follow from: a ledger, or the configuration alone. */
export const settlementOf = (
  { settlement }: Pick<Config, 'settlement'>,
  parts: LedgerOptions,
  log: LogSink,
): Settlement =>
  settlement.enabled ? new LedgerSettlement({ ...parts, terms: settlement, log }) : configuredCredits;

export interface SettledFolder {
  readonly folder: string;
  /** Hours that are not credited yet, or were just now, and those with which something is wrong. */
  readonly epochs: readonly EpochStanding[];
  /** Why nothing could be done here. */
  readonly error?: { readonly code: string; readonly message: string } | undefined;
}

export interface SettleResult {
  /** By the configuration. */
  readonly folders: readonly SettledFolder[];
  /** Hours of which rent was paid. */
  readonly rentHours: number;
}

/** Folders of receipts that are settled: the gateway's own, and those that are named. */
export function receiptFoldersOf({
  home,
  receipts,
  settlement,
}: Pick<Config, 'home' | 'receipts' | 'settlement'>): {
  readonly folder: string;
  /** Otherwise its gateway may never have been started. */
  readonly isNamed: boolean;
}[] {
  const named = settlement.folders.map((folder) => resolve(home, folder));
  const own = receipts.folder === '' ? [] : [resolve(home, receipts.folder)];
  return [...new Set([...own, ...named])].map((folder) => ({ folder, isNamed: named.includes(folder) }));
}

/** Whether something is to be tried again. */
export const isBehind = ({ folders }: SettleResult): boolean =>
  folders.some(({ epochs, error }) => error !== undefined || epochs.some(({ state }) => state === 'failed'));

/** Whether somebody has to look, or it has to be tried again. */
export const isUnsettled = ({ folders }: SettleResult): boolean =>
  folders.some(({ epochs, error }) => error !== undefined || epochs.some(({ why }) => why !== undefined));
