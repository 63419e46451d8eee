import { abortable, throwIfAborted } from '../../../core/abort.ts';
import { equalBytes, toHex } from '../../../core/bytes.ts';
import type { Clock } from '../../../core/clock.ts';
import { HoldfastError } from '../../../core/errors.ts';
import { KeyedMutex } from '../../../engine/keyed-mutex.ts';
import type { Anchor, AnchorItem, AnchorState } from '../anchor.ts';
import { RUNTIME_CODE } from './contract.ts';
import {
  type Account,
  checkItem,
  hasEvent,
  lookCall,
  ownerCall,
  readLook,
  readOwner,
  type Stored,
} from './contract-calls.ts';
import { type Block, ChainNode, garbage, type Hex, type Log, type NodeOptions } from './node.ts';
import { Sender } from './sender.ts';

export interface EvmAnchorOptions extends NodeOptions {
  readonly clock: Clock;
  readonly account: Account;
  readonly chainId: number;
  /** Address of our contract. */
  readonly contract: Hex;
  readonly maxFee: bigint;
  readonly stuckMs: number;
  readonly confirmations: number;
}

/** How long it is believed that chain, contract and owner are the right ones. */
const CHECKED_MS = 60_000;
/** Entries that one call looks at. */
const MAX_LOOK = 200;
const MAX_SEEN = 8_192;

/**
 * Our contract on a chain: docs/format/anchor.md. Nothing is asked of the chain until there is something to anchor. What a
 * node says is held against what else it says: the code at the address, what the contract has stored, and the events of that
 * block. A node that makes up a whole chain is beyond that.
 */
export function openEvmAnchor(options: EvmAnchorOptions): Anchor {
  return new EvmAnchor(options);
}

interface KnownBlock extends Block {
  logs?: readonly Log[];
}

/** What one look has asked of blocks: a hundred roots may share one, and each question is a round trip. */
interface Blocks {
  readonly head: Block;
  readonly known: Map<bigint, KnownBlock>;
}

const idOf = ({ kind, key }: AnchorItem): string => `${kind} ${key}`;

class EvmAnchor implements Anchor {
  readonly name = 'evm';
  readonly confirmations: number;
  readonly #options: EvmAnchorOptions;
  readonly #node: ChainNode;
  readonly #contract: Hex;
  readonly #sender: Sender;
  readonly #turns = new KeyedMutex();
  #checkedMs: number | undefined;
  /** Hash of a block and item of which the event was found there. */
  readonly #seen = new Set<string>();
  #isClosed = false;

  constructor(options: EvmAnchorOptions) {
    this.#options = options;
    this.confirmations = options.confirmations;
    this.#node = new ChainNode(options);
    this.#contract = options.contract.toLowerCase() as Hex;
    this.#sender = new Sender({
      ...options,
      ...{ node: this.#node, contract: this.#contract },
      areStored: async (items, head, signal) =>
        (await this.#stored(items, head, signal)).map((one) => one !== undefined),
    });
  }

  async submit(items: readonly AnchorItem[], signal?: AbortSignal): Promise<void> {
    for (const item of items) checkItem(item);
    await this.#turn(signal, async () => {
      const head = await this.#head(signal);
      const stored = await this.#stored(items, head, signal);
      const fresh = new Map<string, AnchorItem>();
      for (const [i, item] of items.entries()) {
        const id = idOf(item);
        const there = stored[i]?.digest;
        const waits = fresh.get(id) ?? this.#sender.pending(id);
        if (there !== undefined ? there !== digestOf(item) : waits && !equalBytes(waits.digest, item.digest))
          throw conflict(item);
        if (there === undefined) fresh.set(id, item);
      }
      this.#sender.add(fresh);
      await this.#sender.advance(head, signal);
    });
  }

  async look(items: readonly AnchorItem[], signal?: AbortSignal): Promise<AnchorState[]> {
    for (const item of items) checkItem(item);
    return this.#turn(signal, async () => {
      const head = await this.#head(signal);
      const stored = await this.#stored(items, head, signal);
      const states: AnchorState[] = [];
      const blocks: Blocks = { head, known: new Map() };
      for (const [i, item] of items.entries())
        states.push(await this.#state(item, stored[i], blocks, signal));
      await this.#sender.advance(head, signal);
      return states;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #turn<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const turn = this.#turns.run(
      'chain',
      async () => {
        throwIfAborted(signal, 'anchor');
        if (this.#isClosed)
          throw new HoldfastError('Unavailable', 'the anchor is closed', { code: 'closed' });
        return work();
      },
      signal,
    );
    return abortable(turn, signal);
  }

  /** The newest block, of the right chain. */
  async #head(signal?: AbortSignal): Promise<Block> {
    const head = (await this.#node.block('latest', signal))!;
    const now = this.#options.clock.monotonic();
    if (this.#checkedMs !== undefined && now - this.#checkedMs < CHECKED_MS) return head;
    const { chainId, account } = this.#options;
    const found = await this.#node.chainId(signal);
    if (found !== BigInt(chainId)) throw wrong(`the node is of chain ${found}, and not of ${chainId}`);
    if ((await this.#node.code(this.#contract, signal)) !== RUNTIME_CODE)
      throw wrong(`at ${this.#contract} there is no contract of ours`);
    const owner = await this.#ask(ownerCall(), head, readOwner, signal);
    if (owner !== account.address) throw wrong(`the contract is not owned by ${account.address}`);
    this.#checkedMs = now;
    return head;
  }

  async #ask<T>(data: Hex, head: Block, read: (answer: Hex) => T, signal?: AbortSignal): Promise<T> {
    const answer = await this.#node.call(this.#contract, data, head, signal);
    try {
      return read(answer);
    } catch {
      throw garbage('a call of the contract');
    }
  }

  async #stored(
    items: readonly AnchorItem[],
    head: Block,
    signal?: AbortSignal,
  ): Promise<(Stored | undefined)[]> {
    const stored: (Stored | undefined)[] = [];
    for (let from = 0; from < items.length; from += MAX_LOOK) {
      const some = items.slice(from, from + MAX_LOOK);
      stored.push(...(await this.#ask(lookCall(some), head, (answer) => readLook(some, answer), signal)));
    }
    return stored;
  }

  async #state(
    item: AnchorItem,
    stored: Stored | undefined,
    blocks: Blocks,
    signal?: AbortSignal,
  ): Promise<AnchorState> {
    const id = idOf(item);
    if (stored === undefined) {
      const waits = this.#sender.pending(id);
      return { state: waits && equalBytes(waits.digest, item.digest) ? 'pending' : 'absent' };
    }
    if (stored.digest !== digestOf(item)) return { state: 'absent' };
    await this.#checkEvent(item, stored, blocks, signal);
    return {
      state: 'included',
      depth: Number(blocks.head.number - stored.number) + 1,
      where: `block ${stored.number} of chain ${this.#options.chainId}`,
    };
  }

  async #checkEvent(item: AnchorItem, stored: Stored, blocks: Blocks, signal?: AbortSignal): Promise<void> {
    const block = await this.#blockOf(stored.number, blocks, signal);
    const seen = `${block.hash} ${idOf(item)}`;
    if (this.#seen.has(seen)) return;
    block.logs ??= await this.#node.logs(this.#contract, block, signal);
    if (!hasEvent(block.logs, this.#contract, item, stored))
      throw garbage('eth_getLogs: a root is stored of which no event tells');
    if (this.#seen.size >= MAX_SEEN) this.#seen.clear();
    this.#seen.add(seen);
  }

  async #blockOf(number: bigint, { head, known }: Blocks, signal?: AbortSignal): Promise<KnownBlock> {
    if (number > head.number) throw garbage('a call of the contract');
    const before = known.get(number);
    if (before !== undefined) return before;
    const block = await this.#node.block(number, signal);
    if (block?.number !== number) throw garbage('eth_getBlockByNumber');
    const found: KnownBlock = { ...block };
    known.set(number, found);
    return found;
  }
}

const digestOf = ({ digest }: AnchorItem): Hex => `0x${toHex(digest)}`;

const conflict = ({ kind, key }: AnchorItem): HoldfastError =>
  new HoldfastError('Conflict', `the anchor has another digest of ${kind} ${key}`, {
    code: 'anchor_conflict',
    hint: 'One of the two is wrong: compare them before anything else is anchored.',
  });

const wrong = (why: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', why, {
    code: 'anchor_contract',
    hint: 'Correct `[anchor]`: its url, chain_id, contract and key belong together.',
  });
