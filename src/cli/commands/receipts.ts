import { stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { fromHex, toHex } from '../../core/bytes.ts';
import { errnoText } from '../../core/errno.ts';
import { HoldfastError } from '../../core/errors.ts';
import { openRegular, readAtMost } from '../../core/files.ts';
import { printableLine } from '../../core/remote-text.ts';
import type { AuditReport } from '../../receipts/audit.ts';
import {
  type EpochState,
  type FoundReceipt,
  findReceipt,
  type GroupBy,
  groupReads,
  listReceipts,
  listStates,
  proveReceipt,
} from '../../receipts/inspect.ts';
import { EPOCH_MS } from '../../receipts/records/grants.ts';
import { idOf, type Receipt } from '../../receipts/records/records.ts';
import type { EpochRoot } from '../../receipts/records/root.ts';
import { auditReceipts, receiptParts, verifyReceiptProof } from '../../vault/open-receipts.ts';
import { EXIT } from '../exit-codes.ts';
import type { CliContext } from '../flags.ts';
import { bytes, counted, isoTime, table } from '../format.ts';
import { type Io, output, reportError } from '../io.ts';
import { runCommand } from '../run-command.ts';

export interface ReceiptsFlags {
  readonly folder: string;
  readonly json: boolean;
}

interface GatewayFlag {
  readonly gateway?: string;
}

const partsOf = (io: Io, folder: string) => receiptParts(resolve(io.cwd, folder), io.env);

interface EpochLine {
  readonly epoch: number;
  readonly from: string;
  readonly state: EpochState['state'];
  readonly receipts?: number;
  readonly bytes?: number;
  readonly credited?: number;
  readonly denied?: number;
  /** What is damaged. */
  readonly flaw?: string;
}

/** Where there is no folder, "no receipts" would be a guess. */
async function requireFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory()) return;
  throw new HoldfastError('NotFound', `${folder} is no folder that can be read`, {
    code: 'no_such_epoch',
    hint: 'Give with --folder the one that has `read/` in it.',
  });
}

export async function list(this: CliContext, flags: ReceiptsFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const parts = await partsOf(io, flags.folder);
    await requireFolder(parts.folder);
    const states = await listStates(parts);
    const epochs = states.map(lineOf);
    output(io, flags.json, epochs, () =>
      table([
        ['epoch', 'from', 'state', 'receipts', 'served', 'credited'],
        ...epochs.map(({ epoch, from, state, receipts, bytes: served, credited }) => [
          ...[epoch, from, state, receipts ?? '-'],
          ...[served, credited].map((one) => (one === undefined ? '-' : bytes(one))),
        ]),
      ]),
    );
    const flaws = states.flatMap((one) => (one.state === 'damaged' ? [one.flaw] : []));
    for (const flaw of flaws) reportError(io, flaw, flags.json);
    return flaws.length > 0 ? EXIT.integrity : undefined;
  });
}

function lineOf(one: EpochState): EpochLine {
  const { epoch, state } = one;
  const line = { epoch, from: isoTime(epoch * EPOCH_MS), state };
  if (one.state === 'damaged') return { ...line, flaw: one.flaw.message };
  if (one.state !== 'closed') return line;
  const { count: receipts, bytes, credited, denied } = one.root;
  return { ...line, receipts, bytes, credited, denied };
}

export interface ShowFlags extends ReceiptsFlags {
  readonly by: GroupBy;
  readonly records: boolean;
  readonly skip: number;
  readonly limit: number;
}

export async function show(this: CliContext, flags: ShowFlags, what: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const parts = await partsOf(io, flags.folder);
    if (/^\d{1,10}$/.test(what)) {
      const epoch = Number(what);
      if (flags.records) {
        const { found, next } = await listReceipts(parts, epoch, flags);
        const records = found.map(recordLine);
        output(io, flags.json, { epoch, records, next: next ?? null }, () => recordTable(records, next));
        return undefined;
      }
      const groups = await groupReads(parts, epoch, flags.by);
      output(io, flags.json, { epoch, by: flags.by, groups }, () =>
        table([
          [flags.by, 'reads', 'signed', 'served', 'acknowledged'],
          ...groups.map((one) => [one.name, one.reads, one.signed, bytes(one.bytes), bytes(one.signedBytes)]),
        ]),
      );
      return undefined;
    }
    const { epoch, seq, index, receipt } = await findReceipt(parts, what);
    const data = { epoch, file: seq, record: index, ...shown(receipt) };
    output(io, flags.json, data, () => lines(data));
    return undefined;
  });
}

interface RecordLine {
  /** What `prove` takes; of reads that were only counted there is none. */
  readonly id?: string;
  readonly at: string;
  readonly what: 'signed' | 'unsigned' | 'denied' | 'execution';
  readonly provider?: string;
  readonly bytes?: number;
  /** Why reads were denied, and how many. */
  readonly reason?: string;
  readonly reads?: number;
}

function recordLine({ receipt }: FoundReceipt): RecordLine {
  if (receipt.kind === 'denials')
    return { at: isoTime(receipt.to), what: 'denied', reason: receipt.reason, reads: receipt.reads };
  const line = { id: toHex(idOf(receipt)!), at: isoTime(receipt.ts) };
  if (receipt.kind === 'execution') return { ...line, what: 'execution', provider: receipt.provider };
  const { allowed, sig, provider, bytes, reason } = receipt;
  if (!allowed) return { ...line, what: 'denied', ...(reason !== undefined && { reason }) };
  return { ...line, what: sig === undefined ? 'unsigned' : 'signed', provider, bytes };
}

const recordTable = (records: readonly RecordLine[], next: number | undefined): string =>
  [
    table([
      ['at', 'what', 'provider', 'served', 'id'],
      ...records.map(({ at, what, provider, bytes: served, reason, reads, id }) => [
        ...[at, reason === undefined ? what : `${what}: ${reason}`, printableLine(provider ?? '-')],
        ...[
          served === undefined ? '-' : bytes(served),
          id ?? `${counted(reads ?? 1, 'read')}, not told apart`,
        ],
      ]),
    ]),
    ...(next === undefined ? [] : [`more with: --skip ${next}`]),
  ].join('\n');

const shown = (record: Receipt | EpochRoot): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(record).map(([key, value]) => [key, value instanceof Uint8Array ? toHex(value) : value]),
  );

const lines = (data: Record<string, unknown>): string =>
  Object.entries(data)
    .map(([key, value]) => printableLine(`${key.padEnd(13)}${value}`))
    .join('\n');

export interface ProveFlags extends ReceiptsFlags {
  readonly out: string;
}

export async function prove(this: CliContext, flags: ProveFlags, id: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const parts = await partsOf(io, flags.folder);
    const found = await findReceipt(parts, id);
    const proof = await proveReceipt(parts, found);
    const file = resolve(io.cwd, flags.out);
    await writeFile(file, proof).catch((error: unknown) => {
      throw noAccess(`${file} cannot be written`, error);
    });
    output(io, flags.json, { epoch: found.epoch, file, bytes: proof.length }, () =>
      [
        `epoch ${found.epoch}, ${proof.length} bytes in ${file}`,
        `check it with: holdfast receipts verify ${flags.out}`,
      ].join('\n'),
    );
    return undefined;
  });
}

const MAX_PROOF_BYTES = 1024 ** 2 + 64 * 1024;

export interface VerifyFlags extends GatewayFlag {
  readonly json: boolean;
}

export async function verify(this: CliContext, flags: VerifyFlags, path: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const file = resolve(io.cwd, path);
    const proof = await readProof(file);
    const { holds, why, receipt, root } = await verifyReceiptProof(proof, gatewayOf(flags));
    const gateway = toHex(root.gateway);
    output(io, flags.json, { holds, why, gateway, epoch: root.epoch, receipt: shown(receipt) }, () =>
      [
        holds ? 'the receipt is in the root of its epoch' : `NOT proven: ${why}`,
        `epoch        ${root.epoch}, from ${isoTime(root.epoch * EPOCH_MS)}`,
        `gateway      ${gateway}${flags.gateway === undefined ? ': is it the one that you mean?' : ''}`,
        lines(shown(receipt)),
      ].join('\n'),
    );
    return holds ? undefined : EXIT.integrity;
  });
}

async function readProof(file: string): Promise<Uint8Array> {
  try {
    const handle = await openRegular(file, 'followed');
    try {
      return await readAtMost(handle, MAX_PROOF_BYTES);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw noAccess(`${file} cannot be read`, error);
  }
}

function noAccess(what: string, error: unknown): HoldfastError {
  return new HoldfastError('PermissionDenied', `${what}: ${errnoText(error)}`, {
    code: 'access_denied',
    cause: error,
  });
}

const gatewayOf = ({ gateway }: GatewayFlag): { readonly gateway?: Uint8Array } =>
  gateway === undefined ? {} : { gateway: fromHex(gateway) };

export async function audit(
  this: CliContext,
  flags: ReceiptsFlags & GatewayFlag,
  epoch: number,
): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const options = { ...gatewayOf(flags), signal: io.signal };
    const report = await auditReceipts(resolve(io.cwd, flags.folder), epoch, options);
    const { root, ...rest } = report;
    const data = { ...rest, ...(root && { gateway: toHex(root.gateway), root: toHex(root.root) }) };
    output(io, flags.json, data, () => describeAudit(report));
    return report.difference === undefined ? undefined : EXIT.integrity;
  });
}

function describeAudit({ epoch, root, totals, signatures, previous, difference }: AuditReport): string {
  const gateway = root === undefined ? [] : [`gateway      ${toHex(root.gateway)}`];
  if (difference !== undefined) {
    const { file, byte, record, why } = difference;
    const place = [
      `read/${file}`,
      ...(record === undefined ? [] : [`record ${record}`]),
      ...(byte === undefined ? [] : [`in the batch at byte ${byte}`]),
    ].join(', ');
    return [
      `epoch ${epoch} is NOT as its root says`,
      ...gateway,
      printableLine(`first        ${place}: ${why}`),
    ].join('\n');
  }
  return [
    `epoch ${epoch} is as its root says`,
    ...gateway,
    `receipts     ${totals.count}, ${counted(signatures, 'valid signature')}, ${totals.denied} reads denied`,
    `served       ${bytes(totals.bytes)}, credited ${bytes(totals.credited)}`,
    ...(previous === 'absent' ? ['before it    its previous root is not in this copy'] : []),
    table([
      ['provider', 'reads', 'signed', 'readers', 'served', 'credited'],
      ...totals.providers.map((one) => [
        ...[one.provider, one.reads, one.signed, one.readers, bytes(one.bytes)],
        one.reason === undefined ? bytes(one.credited) : 'none: under 10 % signed',
      ]),
    ]),
  ].join('\n');
}
