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

/** Whether somebody has to look, or it has to be tried again. */
export const isUnsettled = ({ folders }: SettleResult): boolean =>
  folders.some(({ epochs, error }) => error !== undefined || epochs.some(({ why }) => why !== undefined));
