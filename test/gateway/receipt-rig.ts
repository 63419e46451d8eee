import { expect } from 'vitest';
import { wasmBlake3 as blake3 } from '../../src/core/b3/wasm.ts';
import { ReadReceipts, type ReadReceiptsOptions } from '../../src/gateway/receipts.ts';
import type { ReceiptDesk } from '../../src/receipts/desk.ts';
import {
  decodeGrant,
  decodeReceipt,
  type ReadGrant,
  type Receipt,
} from '../../src/receipts/records/records.ts';
import { createTelemetry } from '../../src/telemetry/index.ts';
import { metricIn } from '../helpers/metrics.ts';
import { recordsOf } from '../receipts/page-reader.ts';
import { type CrashingFiles, FOLDER, type newClock, newWorld } from '../receipts/world.ts';
import { startGateway, type TestGateway, type TestGatewayOptions } from './harness.ts';

/** A gateway over a vault in memory, with receipts that are kept in memory too, by a clock of their own. */
export interface ReceiptRig extends TestGateway {
  readonly files: CrashingFiles;
  readonly clock: ReturnType<typeof newClock>;
  readonly desk: ReceiptDesk;
  readonly receipts: ReadReceipts;
  counted(name: string): Promise<number>;
  /** What is on the disk. */
  records(): Receipt[];
  read(target: string, headers?: Record<string, string>): Promise<{ grant: ReadGrant; body: Uint8Array }>;
  post(...acks: Uint8Array[]): Promise<Answer>;
}

/** What is said of acknowledgements. */
export interface Answer {
  readonly accepted: number;
  readonly results: readonly { readonly accepted: boolean; readonly reason?: string }[];
}

export const POSTED = { 'content-type': 'application/cbor-seq' };

export async function receiptGateway(
  settings: Partial<ReadReceiptsOptions> = {},
  options: TestGatewayOptions = {},
  key?: Uint8Array,
): Promise<ReceiptRig> {
  const { files, clock, desk } = await newWorld(key && { key });
  const telemetry = await createTelemetry();
  const receipts = new ReadReceipts({
    ...{ desk, clock, metrics: telemetry.receipts, log: { event() {} } },
    place: { files, folder: FOLDER, blake3 },
    ...{ ackMs: 60_000, maxOpen: 100, domains: ['files.example.org'], defaultDomain: 'other.example' },
    ...settings,
  });
  const gateway = await startGateway({ ...options, receipts });
  return {
    ...gateway,
    ...{ files, clock, desk, receipts },
    counted: async (name) => metricIn(await telemetry.renderMetrics(), name) ?? 0,
    records: () =>
      files
        .paths()
        .filter((path) => path.endsWith('.cbor'))
        .flatMap((path) => recordsOf(files.get(path)).map((bytes) => decodeReceipt(Uint8Array.from(bytes)))),
    async read(target, headers = {}) {
      const answer = await fetch(`${gateway.url}${target}`, { headers });
      return { grant: grantIn(answer)!, body: new Uint8Array(await answer.arrayBuffer()) };
    },
    async post(...acks) {
      const answer = await post(gateway.url, Buffer.concat(acks));
      expect(answer.status).toBe(200);
      return (await answer.json()) as Answer;
    },
  };
}

export const post = (url: string, body: Uint8Array<ArrayBuffer>, headers: Record<string, string> = POSTED) =>
  fetch(`${url}/receipts/acks`, { method: 'POST', headers, body });

export function grantIn({ headers }: Response): ReadGrant | undefined {
  const text = headers.get('holdfast-read');
  return text === null ? undefined : decodeGrant(Buffer.from(text, 'base64url'));
}
