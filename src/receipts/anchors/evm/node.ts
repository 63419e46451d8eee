import { type Clock, withDeadline } from '../../../core/clock.ts';
import { HoldfastError, isHoldfastError } from '../../../core/errors.ts';
import { remoteText } from '../../../core/remote-text.ts';

/** A node of a chain as others run them: it may be away, be slow, lie, or never end its answer. */

export type Hex = `0x${string}`;

export interface NodeOptions {
  /** May hold a token of the operator's: never told to anybody. */
  readonly url: string;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Of one call. */
  readonly deadlineMs: number;
}

const MAX_ANSWER = 4 * 1024 * 1024;
const HEX = /^0x[0-9a-f]*$/;
const QUANTITY = /^0x[0-9a-f]{1,64}$/;

export interface Block {
  readonly number: bigint;
  readonly hash: Hex;
  readonly baseFee: bigint;
}

export interface Log {
  readonly topics: readonly string[];
  readonly data: string;
  readonly address: string;
}

export class ChainNode {
  readonly #options: NodeOptions;
  #id = 0;

  constructor(options: NodeOptions) {
    this.#options = options;
  }

  chainId = async (signal?: AbortSignal): Promise<bigint> =>
    quantity('eth_chainId', await this.#call('eth_chainId', [], signal));

  /** @param which `latest`, or a number. @returns undefined where there is none of the number. */
  async block(which: bigint | 'latest', signal?: AbortSignal): Promise<Block | undefined> {
    const method = 'eth_getBlockByNumber';
    const tag = which === 'latest' ? which : hexOf(which);
    const block = await this.#call(method, [tag, false], signal);
    if (block === null && which !== 'latest') return undefined;
    const { number, hash, baseFeePerGas } = fieldsOf(method, block);
    return {
      number: counted(method, number),
      hash: hex(method, hash, 32),
      baseFee: quantity(method, baseFeePerGas),
    };
  }

  code = async (address: string, signal?: AbortSignal): Promise<Hex> =>
    hex('eth_getCode', await this.#call('eth_getCode', [address, 'latest'], signal));

  /** Transactions of the account that blocks have. */
  nonce = async (address: string, signal?: AbortSignal): Promise<number> => {
    const method = 'eth_getTransactionCount';
    return Number(counted(method, await this.#call(method, [address, 'latest'], signal)));
  };

  tip = async (signal?: AbortSignal): Promise<bigint> =>
    quantity('eth_maxPriorityFeePerGas', await this.#call('eth_maxPriorityFeePerGas', [], signal));

  /** What a contract answers in the state after a block, which has to be of the chain still. */
  call = async (to: string, data: Hex, block: Block, signal?: AbortSignal): Promise<Hex> =>
    hex(
      'eth_call',
      await this.#call(
        'eth_call',
        [
          { to, data },
          { blockHash: block.hash, requireCanonical: true },
        ],
        signal,
      ),
    );

  async logs(address: string, { hash }: Block, signal?: AbortSignal): Promise<Log[]> {
    const method = 'eth_getLogs';
    const logs = await this.#call(method, [{ address, blockHash: hash }], signal);
    if (!Array.isArray(logs)) throw garbage(method);
    return logs.map((log: unknown) => {
      const { topics, data, address: from } = fieldsOf(method, log);
      if (!Array.isArray(topics)) throw garbage(method);
      return {
        topics: topics.map((topic) => hex(method, topic, 32)),
        data: hex(method, data),
        address: hex(method, from, 20),
      };
    });
  }

  /** @throws HoldfastError `Unavailable`, code `anchor_refused` with its words, where the node does not take it. */
  send = async (transaction: Hex, signal?: AbortSignal): Promise<void> => {
    await this.#call('eth_sendRawTransaction', [transaction], signal);
  };

  async #call(method: string, params: readonly unknown[], outer?: AbortSignal): Promise<unknown> {
    const { clock, deadlineMs } = this.#options;
    const id = ++this.#id;
    const body = JSON.stringify({ jsonrpc: '2.0', id, method, params });
    const text = await withDeadline(clock, deadlineMs, method, (signal) => this.#post(body, signal), outer);
    const answer = fieldsOf(method, parse(method, text));
    if (answer.id !== id) throw garbage(method);
    if (answer.error !== undefined && answer.error !== null) {
      const refusal = remoteText(String(fieldsOf(method, answer.error).message));
      throw new HoldfastError('Unavailable', `the node refuses ${method}: ${refusal}`, {
        code: 'anchor_refused',
        context: { refusal },
      });
    }
    if (!('result' in answer)) throw garbage(method);
    return answer.result;
  }

  async #post(body: string, signal: AbortSignal): Promise<string> {
    try {
      const answer = await this.#options.fetch(this.#options.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body,
        signal,
        redirect: 'error',
      });
      const text = await readText(answer);
      // Some say what is wrong in JSON with any status; what stands before a node says it in its own words.
      if (!answer.ok && !text.trimStart().startsWith('{')) throw turnedAway(answer.status);
      return text;
    } catch (error) {
      if (signal.aborted || isHoldfastError(error)) throw error;
      // The cause could name the address with its token.
      throw new HoldfastError('Unavailable', 'the node of the chain does not answer', {
        code: 'anchor_node_down',
      });
    }
  }
}

async function readText(answer: Response): Promise<string> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of answer.body ?? []) {
    length += piece.length;
    if (length > MAX_ANSWER) throw garbage('a call: more than 4 MiB');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

function parse(method: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw garbage(method);
  }
}

function fieldsOf(method: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw garbage(method);
  return value as Record<string, unknown>;
}

function quantity(method: string, value: unknown): bigint {
  if (typeof value !== 'string' || !QUANTITY.test(value)) throw garbage(method);
  return BigInt(value);
}

/** What is counted one by one. */
function counted(method: string, value: unknown): bigint {
  const count = quantity(method, value);
  if (count > BigInt(Number.MAX_SAFE_INTEGER)) throw garbage(method);
  return count;
}

function hex(method: string, value: unknown, bytes?: number): Hex {
  const text = typeof value === 'string' ? value.toLowerCase() : '';
  if (!HEX.test(text) || text.length % 2 !== 0 || (bytes !== undefined && text.length !== 2 + 2 * bytes))
    throw garbage(method);
  return text as Hex;
}

const hexOf = (value: bigint): Hex => `0x${value.toString(16)}`;

const turnedAway = (status: number): HoldfastError =>
  new HoldfastError(
    status === 429 ? 'RateLimited' : 'Unavailable',
    `the node of the chain answers with HTTP ${status}`,
    {
      code: 'anchor_node_down',
      hint:
        status === 429
          ? 'It is asked too often: what is to be anchored waits. Use a node of your own, or pay for more.'
          : 'What is to be anchored waits until it is back.',
    },
  );

/** What a node says that cannot be. */
export const garbage = (what: string): HoldfastError =>
  new HoldfastError('Unavailable', `the node of the chain answers what cannot be to ${what}`, {
    code: 'anchor_node_wrong',
    hint: 'Ask another node: see `anchor.url`.',
  });
