import { CREDIT_BYTES, type CreditBalance, type SettledEpoch, type Settlement } from '../../catalog/quota.ts';
import type { AbortOptions } from '../../core/abort.ts';
import { fromHex, toHex } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { Provider } from '../../providers/provider.ts';
import { type Fund, ownerAccount, type Posting, providerAccount, type Unpaid } from './entries.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { contradiction, type RewardTerms, shareOut } from './shares.ts';

interface SettlementTerms extends RewardTerms {
  /** All that was ever put into the pool. More is a refill; less takes nothing out. */
  readonly poolCredits: number;
  /** The same of the escrow, which rent is paid from. */
  readonly escrowCredits: number;
  /** Bytes of credit for each stored MiB and hour; 0: there is no rent. */
  readonly rentBytesPerMib: number;
}

export interface LedgerSettlementOptions extends LedgerOptions {
  readonly terms: SettlementTerms;
  /** Told of what is booked and of what is not paid. */
  log(level: 'warn', event: string, fields: Readonly<Record<string, unknown>>): void;
}

/** So many hours without rent are made up for at once, by what is stored then. */
const MAX_RENT_HOURS = 168;

/** What providers earn, in a ledger of the vault's engine. */
export class LedgerSettlement implements Settlement {
  readonly ledger: Ledger;
  readonly #options: LedgerSettlementOptions;

  constructor(options: LedgerSettlementOptions) {
    this.#options = options;
    this.ledger = new Ledger(options);
  }

  async balanceSplit(provider: Provider, options?: AbortOptions): Promise<CreditBalance> {
    const earned = await this.ledger.balance(providerAccount(provider.id), options);
    return { configured: provider.credits, earned: Number(earned / BigInt(CREDIT_BYTES)) };
  }

  /** What is left in the pool. */
  async poolCredits(options?: AbortOptions): Promise<number> {
    return Number((await this.ledger.balance('pool', options)) / BigInt(CREDIT_BYTES));
  }

  async bookedRead(
    gateway: Uint8Array,
    epoch: number,
    options?: AbortOptions,
  ): Promise<Uint8Array | undefined> {
    const mark = await this.ledger.done(readId(gateway, epoch), options);
    return mark && fromHex(mark.digest);
  }

  /** @throws HoldfastError `Corrupt`, code `ledger_damaged` or `receipt_malformed`; `Conflict`, code `settled_otherwise`. */
  async issueRead(settled: SettledEpoch, options: AbortOptions = {}): Promise<'credited' | 'already'> {
    const { gateway, epoch } = settled;
    const flaw = contradiction(settled);
    if (flaw !== undefined)
      throw new HoldfastError('Corrupt', `the root of epoch ${epoch} contradicts itself: ${flaw}`, {
        code: 'receipt_malformed',
      });
    const { ledger } = this;
    const { terms, log } = this.#options;
    const id = readId(gateway, epoch);
    const digest = toHex(settled.digest);
    await this.#fund('pool', terms.poolCredits, options);
    let unpaid: readonly Unpaid[] = [];
    const booked = await ledger.book(
      id,
      (balanceOf) => {
        const pool = { funded: -balanceOf(ownerAccount('pool')), left: balanceOf('pool') };
        const shares = shareOut(settled, pool, terms);
        unpaid = shares.unpaid;
        return { digest, postings: paymentsFrom('pool', shares.paid), unpaid };
      },
      options,
    );
    if (booked === 'already') {
      const mark = await ledger.done(id, options);
      if (mark?.digest !== digest) throw settledOtherwise(gateway, epoch);
      return 'already';
    }
    for (const { provider, reason } of unpaid)
      log('warn', 'reads_not_credited', { gateway: toHex(gateway), epoch, provider, reason });
    return 'credited';
  }

  /**
   * Pays for what is stored, for every hour that is over and has not been paid for; the first time, for the last one.
   * @param stored bytes at each provider.
   * @returns how many hours were paid for.
   */
  async payRent(
    stored: ReadonlyMap<string, number>,
    now: { readonly epoch: number },
    options: AbortOptions = {},
  ): Promise<number> {
    const { terms, log } = this.#options;
    if (terms.rentBytesPerMib === 0) return 0;
    await this.#fund('escrow', terms.escrowCredits, options);
    let hours = 0;
    const last = now.epoch - 1;
    for (let epoch = await this.#firstUnpaidHour(last, options); epoch <= last; epoch++) {
      let unpaid: readonly Unpaid[] = [];
      const booked = await this.ledger.book(
        rentId(epoch),
        (balanceOf) => {
          const rent = rentOf(stored, terms.rentBytesPerMib, balanceOf('escrow'));
          unpaid = rent.unpaid;
          return { digest: '', postings: paymentsFrom('escrow', rent.paid), unpaid };
        },
        options,
      );
      if (booked === 'already') continue;
      hours++;
      for (const { provider, reason } of unpaid) log('warn', 'rent_not_paid', { epoch, provider, reason });
    }
    return hours;
  }

  async #firstUnpaidHour(last: number, options: AbortOptions): Promise<number> {
    for (let back = 0; back < MAX_RENT_HOURS; back++) {
      if ((await this.ledger.done(rentId(last - back), options)) !== undefined) return last - back + 1;
    }
    // Long ago, or never: nobody knows what was stored then.
    return last;
  }

  /** Puts in what the configuration says beyond what was put in before. */
  async #fund(fund: Fund, credits: number, options: AbortOptions): Promise<void> {
    const total = BigInt(credits) * BigInt(CREDIT_BYTES);
    const owner = ownerAccount(fund);
    await this.ledger.book(
      `fund/${fund}/${total}`,
      (balanceOf) => {
        const amount = total + balanceOf(owner);
        if (amount <= 0n) return undefined;
        return {
          digest: '',
          postings: [
            { account: owner, amount: -amount },
            { account: fund, amount },
          ],
          unpaid: [],
        };
      },
      options,
    );
  }
}

const readId = (gateway: Uint8Array, epoch: number): string => `read/${toHex(gateway)}/${epoch}`;

const rentId = (epoch: number): string => `rent/${epoch}`;

function paymentsFrom(fund: Fund, paid: ReadonlyMap<string, bigint>): Posting[] {
  const postings = [...paid].map(([provider, amount]) => ({ account: providerAccount(provider), amount }));
  const sum = postings.reduce((total, { amount }) => total + amount, 0n);
  return sum === 0n ? [] : [{ account: fund, amount: -sum }, ...postings];
}

/** Whole MiB only. Where the escrow does not reach, all get the same share of theirs. */
function rentOf(
  stored: ReadonlyMap<string, number>,
  rate: number,
  left: bigint,
): { readonly paid: ReadonlyMap<string, bigint>; readonly unpaid: readonly Unpaid[] } {
  const due = [...stored]
    .map(([provider, bytes]) => [provider, BigInt(Math.floor(bytes / CREDIT_BYTES)) * BigInt(rate)] as const)
    .filter(([, amount]) => amount > 0n);
  const sum = due.reduce((total, [, amount]) => total + amount, 0n);
  const paid = new Map<string, bigint>();
  const unpaid: Unpaid[] = [];
  for (const [provider, wanted] of due) {
    const amount = sum <= left ? wanted : (wanted * left) / sum;
    if (amount > 0n) paid.set(provider, amount);
    if (amount < wanted) unpaid.push({ provider, reason: 'escrow_empty' });
  }
  return { paid, unpaid };
}

const settledOtherwise = (gateway: Uint8Array, epoch: number): HoldfastError =>
  new HoldfastError(
    'Conflict',
    `epoch ${epoch} of gateway ${toHex(gateway)} was credited by another root than this`,
    {
      code: 'settled_otherwise',
      hint: 'Two machines sign with one key, or a root was replaced. Compare the folders; nothing more is credited for it.',
    },
  );
