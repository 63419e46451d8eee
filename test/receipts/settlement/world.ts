import { CREDIT_BYTES, type ServedReads, type SettledEpoch } from '../../../src/catalog/quota.ts';
import { wasmBlake3 as blake3 } from '../../../src/core/b3/wasm.ts';
import { createMemoryEngine, type Engine } from '../../../src/engine/index.ts';
import { Ledger } from '../../../src/receipts/settlement/ledger.ts';
import {
  LedgerSettlement,
  type LedgerSettlementOptions,
} from '../../../src/receipts/settlement/settlement.ts';
import { FakeClock } from '../../helpers/fake-clock.ts';

export const GATEWAY: Uint8Array = new Uint8Array(32).fill(0xa1);
export const MIB = CREDIT_BYTES;

export type Terms = LedgerSettlementOptions['terms'];

export const TERMS: Terms = {
  ...{ epochShare: 1_000, providerShare: 1_000, minReaders: 1 },
  ...{ poolCredits: 100, escrowCredits: 0, rentBytesPerMib: 0 },
};

export interface Told {
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface LedgerWorld {
  readonly engine: Engine;
  readonly clock: FakeClock;
  readonly told: Told[];
  readonly settlement: LedgerSettlement;
  /** As another process has it. */
  again(terms?: Partial<Terms>, engine?: Engine): LedgerSettlement;
  /** Everything is checked from the beginning. */
  balances(): Promise<Record<string, bigint>>;
}

export function newLedger(terms: Partial<Terms> = {}, engine = createMemoryEngine()): LedgerWorld {
  const told: Told[] = [];
  const clock = new FakeClock();
  const again: LedgerWorld['again'] = (other = {}, on = engine) =>
    new LedgerSettlement({
      ...{ engine: on, blake3, clock, terms: { ...TERMS, ...terms, ...other } },
      log: (_, event, fields) => void told.push({ event, fields }),
    });
  const balances = async (): Promise<Record<string, bigint>> => {
    const checked = await new Ledger({ engine, blake3, clock }).check();
    return Object.fromEntries(checked.balances);
  };
  return { engine, clock, told, settlement: again(), again, balances };
}

/** All signed. */
export const served = (provider: string, bytes: number, more: Partial<ServedReads> = {}): ServedReads => ({
  ...{ provider, reads: 10, signed: 10, readers: 5, bytes, signedBytes: bytes, credited: bytes },
  ...more,
});

export const epochOf = (
  epoch: number,
  providers: readonly ServedReads[],
  more: Partial<SettledEpoch> = {},
): SettledEpoch => ({
  ...{ gateway: GATEWAY, epoch, digest: new Uint8Array(32).fill(epoch), providers },
  ...more,
});

export const sumOf = (balances: Readonly<Record<string, bigint>>): bigint =>
  Object.values(balances).reduce((sum, one) => sum + one, 0n);
