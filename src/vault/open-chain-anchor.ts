import { systemClock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { isCleartext } from '../core/loopback.ts';
import { checkOptions } from '../core/options.ts';
import type { Anchor } from '../receipts/anchors/anchor.ts';

/** A chain, and who pays there. */
export interface ChainOptions {
  /** JSON-RPC of a node, best one of your own: `https://…`, or `http://` on this machine. */
  readonly url: string;
  /** Private key of an account that does nothing else: 64 hex digits. */
  readonly key: string;
  /** Most that a unit of gas may cost, in 10⁹ wei. Default 200. */
  readonly maxFeeGwei?: number | undefined;
}

export interface OpenChainAnchorOptions extends ChainOptions {
  readonly chainId: number;
  /** Address of the contract that {@link deployAnchor} made with the same key. */
  readonly contract: string;
  /** So long may a transaction wait for a block until a dearer one takes its place. Default 180,000. */
  readonly stuckMs?: number | undefined;
  /** Depth from which on a root counts: how many blocks the chain may take back. Default 12. */
  readonly confirmations?: number | undefined;
}

const DEADLINE_MS = 15_000;
const WAIT_MS = 300_000;
const DEFAULT_MAX_FEE_GWEI = 200;
const DEFAULT_STUCK_MS = 180_000;
const DEFAULT_CONFIRMATIONS = 12;
const CONTRACT = /^0x[0-9a-fA-F]{40}$/;

/**
 * A contract of ours on an EVM chain. It asks nothing of the node until there is something to anchor.
 * @throws HoldfastError `ConfigInvalid` (`unknown_option`, `bad_option`, `cleartext_secret`, `credentials_invalid`).
 */
export async function openChainAnchor(options: OpenChainAnchorOptions): Promise<Anchor> {
  checkOptions<OpenChainAnchorOptions>('openChainAnchor', options, {
    ...{ url: true, key: true, maxFeeGwei: true },
    ...{ chainId: true, contract: true, stuckMs: true, confirmations: true },
  });
  const { chainId, contract, stuckMs = DEFAULT_STUCK_MS, confirmations = DEFAULT_CONFIRMATIONS } = options;
  if (!CONTRACT.test(contract)) throw bad('contract', 'is 0x and 40 hex digits');
  if (!Number.isSafeInteger(chainId) || chainId < 1) throw bad('chainId', 'is a whole number from 1');
  if (!Number.isSafeInteger(stuckMs) || stuckMs < 1_000) throw bad('stuckMs', 'is at least 1,000');
  if (!Number.isSafeInteger(confirmations) || confirmations < 1)
    throw bad('confirmations', 'is a whole number from 1');
  const { openEvmAnchor } = await import('../receipts/anchors/evm/evm.ts');
  return openEvmAnchor({
    ...(await partsOf(options)),
    ...{ chainId, contract: contract as `0x${string}`, stuckMs, confirmations },
  });
}

/**
 * Makes a contract that the key's account owns, and waits until a block has it, at most five minutes.
 * @throws HoldfastError as {@link openChainAnchor}; `Timeout`: it can be there later, at the address in the message.
 */
export async function deployAnchor(
  options: ChainOptions,
  signal?: AbortSignal,
): Promise<{ readonly contract: string; readonly chainId: number }> {
  checkOptions<ChainOptions>('deployAnchor', options, { url: true, key: true, maxFeeGwei: true });
  const { deployContract } = await import('../receipts/anchors/evm/deploy.ts');
  return deployContract({ ...(await partsOf(options)), waitMs: WAIT_MS }, signal);
}

/** The packages for it are loaded by those alone who have a chain. */
async function partsOf({ url, key, maxFeeGwei = DEFAULT_MAX_FEE_GWEI }: ChainOptions) {
  checkUrl(url);
  if (!(maxFeeGwei > 0 && maxFeeGwei <= 1_000_000))
    throw bad('maxFeeGwei', 'is more than 0, at most 1,000,000');
  const { accountOf } = await import('../receipts/anchors/evm/contract-calls.ts');
  return {
    ...{ url, fetch, clock: systemClock, deadlineMs: DEADLINE_MS, account: accountOf(key) },
    maxFee: BigInt(Math.round(maxFeeGwei * 1e9)),
  };
}

/** A message never shows it: it can hold a token. */
function checkUrl(url: string): void {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) throw bad('url', 'is http(s)://…');
  if (isCleartext(url))
    throw new HoldfastError(
      'ConfigInvalid',
      "the address of a chain's node is http:// and not of this machine",
      {
        code: 'cleartext_secret',
        hint: 'Use https://: whoever can change its answers decides what counts as anchored.',
      },
    );
}

const bad = (name: string, what: string): HoldfastError =>
  new HoldfastError('ConfigInvalid', `the option "${name}" of an anchor ${what}`, { code: 'bad_option' });
