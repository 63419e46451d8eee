import type { Clock } from '../../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../../core/errors.ts';
import type { AnchorItem } from '../anchor.ts';
import { type Account, anchorCall, type Transaction } from './contract-calls.ts';
import type { Block, ChainNode, Hex } from './node.ts';

/** What one call may cost, and how long it may wait. */
export interface SenderOptions {
  readonly node: ChainNode;
  readonly account: Account;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly chainId: number;
  /** Lower case. */
  readonly contract: Hex;
  /** In wei for each unit of gas. */
  readonly maxFee: bigint;
  /** A transaction that no block took for so long is replaced by a dearer one. */
  readonly stuckMs: number;
  /** Which of them the contract has already. */
  readonly areStored: (
    items: readonly AnchorItem[],
    head: Block,
    signal?: AbortSignal,
  ) => Promise<readonly boolean[]>;
}

/** Items of one transaction: well below what a block has room for. */
const MAX_ITEMS = 100;
const MAX_WAITING = 4_096;
/** Measured: 50,000 for an entry that is new. */
const GAS = { transaction: 60_000n, item: 90_000n };
const LEAST_TIP = 1_000_000_000n;
/** A node takes a replacement that offers a tenth more; some want an eighth. Up to ten times of that is a factor of nine. */
const RAISE = { by: 125n, of: 100n, times: 10 };

interface InFlight {
  readonly nonce: number;
  readonly items: ReadonlyMap<string, AnchorItem>;
  readonly maxFee: bigint;
  readonly tip: bigint;
  readonly sentMs: number;
}

/**
 * Sends items to the contract, in one transaction at a time: so there is one nonce at stake, and whatever became of a
 * transaction that nobody remembers, the next one takes its place or finds its items stored. The contract takes an item
 * twice without harm.
 */
export class Sender {
  readonly #options: SenderOptions;
  readonly #waiting = new Map<string, AnchorItem>();
  #flying: InFlight | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** The item of this name that waits for a block, or to be sent. */
  pending(id: string): AnchorItem | undefined {
    return this.#waiting.get(id) ?? this.#flying?.items.get(id);
  }

  get isIdle(): boolean {
    return this.#waiting.size === 0 && this.#flying === undefined;
  }

  /** @throws HoldfastError `RateLimited`, code `anchor_overloaded`. */
  add(items: ReadonlyMap<string, AnchorItem>): void {
    if (this.#waiting.size + items.size > MAX_WAITING)
      throw new HoldfastError('RateLimited', `more than ${MAX_WAITING} roots wait for the chain`, {
        code: 'anchor_overloaded',
      });
    for (const [id, item] of items) if (this.pending(id) === undefined) this.#waiting.set(id, item);
  }

  /**
   * Sends what is due: what waits, if nothing is in flight; again and dearer what has been for too long.
   * @throws HoldfastError as the node does; `anchor_fees`, `anchor_funds`.
   */
  async advance(head: Block, signal?: AbortSignal): Promise<void> {
    const { node, account, clock, stuckMs } = this.#options;
    if (this.isIdle) return;
    const nonce = await node.nonce(account.address, signal);
    const flying = this.#flying;
    if (flying === undefined) return this.#send(head, nonce, undefined, signal);
    const isStuck = clock.monotonic() - flying.sentMs >= stuckMs;
    // A block has one of that number: ours, or one of somebody with the same key. What it did not store waits again.
    if (nonce > flying.nonce) {
      this.#land(flying);
      return this.#send(head, nonce, undefined, signal);
    }
    // A chain that reorganised can lack the one before: then ours would wait for ever.
    if (isStuck) await this.#send(head, nonce, flying, signal);
  }

  #land(flying: InFlight): void {
    this.#flying = undefined;
    for (const [id, item] of flying.items) this.#waiting.set(id, item);
  }

  async #send(
    head: Block,
    nonce: number,
    replaced: InFlight | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    if (replaced !== undefined) this.#land(replaced);
    const items = await this.#due(head, signal);
    if (items.size === 0) return;
    const tip = await this.#tip(signal);
    let fees = { maxFee: 2n * head.baseFee + tip, tip };
    if (replaced !== undefined && replaced.nonce === nonce) fees = atLeast(fees, raised(replaced));
    for (let tries = 0; ; tries++) {
      this.#checkFee(fees, head, replaced);
      const { bytes } = await this.#sign([...items.values()], nonce, fees);
      this.#fly(items, { ...fees, nonce });
      const refusal = await this.#offer(bytes, signal);
      if (refusal === undefined) return;
      // Another of that nonce waits at the node: sent before a restart, say.
      const isUnderpriced = /underpriced/i.test(refusal);
      if (!isUnderpriced || tries === RAISE.times) {
        this.#land(this.#flying!);
        throw refused(refusal);
      }
      fees = raised(fees);
    }
  }

  /** Some of what waits, without what is there by now. */
  async #due(head: Block, signal?: AbortSignal): Promise<ReadonlyMap<string, AnchorItem>> {
    const some = [...this.#waiting].slice(0, MAX_ITEMS);
    const stored = await this.#options.areStored(
      some.map(([, item]) => item),
      head,
      signal,
    );
    for (const [i, [id]] of some.entries()) if (stored[i]) this.#waiting.delete(id);
    return new Map(some.filter((_, i) => !stored[i]));
  }

  #fly(items: ReadonlyMap<string, AnchorItem>, { nonce, maxFee, tip }: Fees & { nonce: number }): void {
    for (const id of items.keys()) this.#waiting.delete(id);
    this.#flying = { items, nonce, maxFee, tip, sentMs: this.#options.clock.monotonic() };
  }

  async #tip(signal?: AbortSignal): Promise<bigint> {
    const tip = await this.#options.node.tip(signal);
    return tip > LEAST_TIP ? tip : LEAST_TIP;
  }

  #checkFee({ maxFee, tip }: Fees, head: Block, replaced: InFlight | undefined): void {
    const limit = this.#options.maxFee;
    if (maxFee <= limit && tip <= maxFee) return;
    // What is in flight stays there, at what it offers.
    if (replaced !== undefined) this.#fly(replaced.items, replaced);
    throw new HoldfastError('Unavailable', 'the chain wants more for a transaction than it may cost', {
      code: 'anchor_fees',
      context: { wanted_wei: String(maxFee), limit_wei: String(limit), base_fee_wei: String(head.baseFee) },
    });
  }

  #sign(items: readonly AnchorItem[], nonce: number, { maxFee, tip }: Fees): ReturnType<Account['sign']> {
    const { account, chainId, contract } = this.#options;
    const transaction: Transaction = {
      ...{ chainId, nonce, to: contract, data: anchorCall(items) },
      gas: GAS.transaction + GAS.item * BigInt(items.length),
      maxFeePerGas: maxFee,
      maxPriorityFeePerGas: tip,
    };
    return account.sign(transaction);
  }

  /** @returns why not, in the node's words. A call that fails otherwise may have arrived all the same. */
  async #offer(bytes: Hex, signal?: AbortSignal): Promise<string | undefined> {
    try {
      await this.#options.node.send(bytes, signal);
      return undefined;
    } catch (error) {
      if (!isHoldfastError(error) || error.code !== 'anchor_refused') throw error;
      const refusal = String(error.context.refusal);
      return /already (known|imported)|known transaction/i.test(refusal) ? undefined : refusal;
    }
  }
}

interface Fees {
  readonly maxFee: bigint;
  readonly tip: bigint;
}

const raise = (fee: bigint): bigint => (fee * RAISE.by) / RAISE.of + 1n;
const raised = ({ maxFee, tip }: Fees): Fees => ({ maxFee: raise(maxFee), tip: raise(tip) });
const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const atLeast = (a: Fees, b: Fees): Fees => ({ maxFee: most(a.maxFee, b.maxFee), tip: most(a.tip, b.tip) });

function refused(refusal: string): HoldfastError {
  if (/insufficient funds/i.test(refusal))
    return new HoldfastError('QuotaExceeded', 'the account that anchors cannot pay for a transaction', {
      code: 'anchor_funds',
      hint: "Send it some of the chain's currency.",
    });
  return new HoldfastError('Unavailable', `the node does not take a transaction: ${refusal}`, {
    code: 'anchor_refused',
  });
}
