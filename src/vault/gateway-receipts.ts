import { resolve } from 'node:path';
import type { ReceiptsConfig } from '../config/types.ts';
import { createExecutions, type Executions } from '../gateway/executions.ts';
import { ReadReceipts } from '../gateway/receipts.ts';
import type { ServiceLog } from '../http/log.ts';
import type { ReceiptDesk } from '../receipts/desk.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { ComposedVault } from './assemble.ts';
import { loopsWith } from './daemon.ts';
import { openReceipts, receiptParts } from './open-receipts.ts';

/** The receipts of a gateway that serves. */
export interface ServedReceipts {
  readonly reads: ReadReceipts;
  readonly executions: Executions;
  /** Writes down what is open and lets go of the folder. To be called when the gateway has been closed. */
  close(): Promise<void>;
}

interface ReceiptParts {
  readonly telemetry: Telemetry;
  readonly log: ServiceLog;
}

const MINUTE_MS = 60_000;
/** An hour of the fullest is read in minutes. */
const CLOSING_MS = 30 * MINUTE_MS;
const STOP_MS = 5_000;

/**
 * Opens the folder of a gateway's receipts, and closes its hours from now on. Undefined where the configuration names none.
 * @throws HoldfastError as `openReceipts` does.
 */
export async function serveReceipts(
  composed: ComposedVault,
  settings: ReceiptsConfig,
  { telemetry, log }: ReceiptParts,
): Promise<ServedReceipts | undefined> {
  if (settings.folder === '') return undefined;
  const { denialsPerSecond, maxOpenReads, ackSeconds, domains, defaultDomain } = settings;
  const folder = resolve(composed.config.home, settings.folder);
  const place = await receiptParts(folder, composed.env);
  const desk = await openReceipts({ folder, denialsPerSecond });
  const reads = new ReadReceipts({
    ...{ desk, domains, defaultDomain, log, place },
    clock: composed.context.clock,
    metrics: telemetry.receipts,
    ackMs: 1_000 * ackSeconds,
    maxOpen: maxOpenReads,
  });
  const closing = {
    name: 'receipts',
    firstAfterMs: MINUTE_MS / 6,
    everyMs: MINUTE_MS,
    deadlineMs: CLOSING_MS,
    run: (signal: AbortSignal) => closeHours(desk, log, signal),
  };
  const loops = loopsWith([closing], composed, { telemetry, log });
  loops.start();
  return {
    reads,
    executions: createExecutions({ desk, metrics: telemetry.receipts, defaultDomain }),
    async close() {
      await reads.close();
      await loops.stop(STOP_MS);
      await desk.close();
    },
  };
}

async function closeHours(desk: ReceiptDesk, log: ServiceLog, signal: AbortSignal): Promise<void> {
  for (const { epoch, count, bytes, credited } of await desk.closeDue(signal))
    log.event('info', 'receipts_closed', { epoch, count, bytes, credited });
}
