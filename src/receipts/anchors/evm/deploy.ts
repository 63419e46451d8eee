import { getContractAddress } from 'viem';
import { HoldfastError } from '../../../core/errors.ts';
import { CREATION_CODE, RUNTIME_CODE } from './contract.ts';
import type { Account } from './contract-calls.ts';
import { ChainNode, type Hex, type NodeOptions } from './node.ts';

export interface DeployOptions extends NodeOptions {
  /** Becomes the contract's owner. */
  readonly account: Account;
  readonly maxFee: bigint;
  /** How long a block may take. */
  readonly waitMs: number;
}

/** Measured: 570,000. */
const GAS = 1_500_000n;
const TIP = 1_000_000_000n;
const LOOK_EVERY_MS = 1_000;

/**
 * Makes a contract of ours, and waits until a block has it.
 * @throws HoldfastError `Timeout`: it can be there later, at the address that the message names.
 */
export async function deployContract(
  options: DeployOptions,
  signal?: AbortSignal,
): Promise<{ readonly contract: Hex; readonly chainId: number }> {
  const { account, clock, maxFee, waitMs } = options;
  const node = new ChainNode(options);
  const chainId = Number(await node.chainId(signal));
  const head = (await node.block('latest', signal))!;
  const nonce = await node.nonce(account.address, signal);
  const wanted = 2n * head.baseFee + TIP;
  if (wanted > maxFee)
    throw new HoldfastError('Unavailable', 'the chain wants more for a transaction than it may cost', {
      code: 'anchor_fees',
      context: { wanted_wei: String(wanted), limit_wei: String(maxFee) },
    });
  const { bytes } = await account.sign({
    ...{ chainId, nonce, to: undefined, data: CREATION_CODE, gas: GAS },
    ...{ maxFeePerGas: wanted, maxPriorityFeePerGas: TIP },
  });
  const contract = getContractAddress({ from: account.address, nonce: BigInt(nonce) }).toLowerCase() as Hex;
  await node.send(bytes, signal);
  for (const endMs = clock.monotonic() + waitMs; clock.monotonic() < endMs; ) {
    if ((await node.code(contract, signal)) === RUNTIME_CODE) return { contract, chainId };
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
  throw new HoldfastError('Timeout', `no block has the contract yet; it is to be at ${contract}`);
}
