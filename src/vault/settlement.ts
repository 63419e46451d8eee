import type { Config } from '../config/types.ts';
import type { LogSink } from '../providers/layers/log.ts';
import type { LedgerOptions } from '../receipts/settlement/ledger.ts';
import { LedgerSettlement } from '../receipts/settlement/settlement.ts';

/** The ledger that quotas follow from; undefined where the configuration keeps none. */
export const settlementOf = (
  { settlement }: Pick<Config, 'settlement'>,
  parts: LedgerOptions,
  log: LogSink,
): LedgerSettlement | undefined =>
  settlement.enabled ? new LedgerSettlement({ ...parts, terms: settlement, log }) : undefined;
