import { decodeFunctionResult, encodeEventTopics, encodeFunctionData, keccak256 } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { toHex } from '../../../core/bytes.ts';
import { HoldfastError } from '../../../core/errors.ts';
import type { AnchorItem } from '../anchor.ts';
import { ABI } from './contract.ts';
import type { Hex, Log } from './node.ts';

/** The contract's calls and events as bytes, and transactions signed: nothing here asks anybody. */

const hexBytes = (bytes: Uint8Array): Hex => `0x${toHex(bytes)}`;

const EPOCH_KEY = /^([0-9a-f]{64})\/(0|[1-9]\d{0,15})$/;

/** What the contract can name: an epoch by its gateway and number, an object by the digest in its address. */
export function checkItem({ kind, key, digest, total }: AnchorItem): void {
  const isNamed = kind === 'epoch' ? EPOCH_KEY.test(key) : key === `b3:${toHex(digest)}`;
  if (isNamed && digest.length === 32 && Number.isSafeInteger(total) && total >= 0) return;
  throw new HoldfastError('ConfigInvalid', `the ${kind} ${key} cannot be anchored as it is given`, {
    code: 'bad_option',
  });
}

function epochOf({ key }: AnchorItem): { readonly gateway: Hex; readonly epoch: bigint } {
  const [, gateway, epoch] = EPOCH_KEY.exec(key)!;
  return { gateway: `0x${gateway}`, epoch: BigInt(epoch!) };
}

const isEpoch = ({ kind }: AnchorItem): boolean => kind === 'epoch';
const isBlob = ({ kind }: AnchorItem): boolean => kind === 'blob';

export const anchorCall = (items: readonly AnchorItem[]): Hex =>
  encodeFunctionData({
    abi: ABI,
    functionName: 'anchor',
    args: [
      items.filter(isEpoch).map((item) => ({
        ...{ ...epochOf(item), digest: hexBytes(item.digest), total: BigInt(item.total) },
      })),
      items.filter(isBlob).map(({ digest, total }) => ({ digest: hexBytes(digest), total: BigInt(total) })),
    ],
  });

export const lookCall = (items: readonly AnchorItem[]): Hex =>
  encodeFunctionData({
    abi: ABI,
    functionName: 'look',
    args: [items.filter(isEpoch).map(epochOf), items.filter(isBlob).map(({ digest }) => hexBytes(digest))],
  });

/** What the contract has under an item's name. */
export interface Stored {
  readonly digest: Hex;
  readonly total: bigint;
  /** Of the block. */
  readonly number: bigint;
}

/** @returns in the order of the items; undefined for those that it has not. @throws what viem throws at other bytes. */
export function readLook(items: readonly AnchorItem[], data: Hex): (Stored | undefined)[] {
  const found = decodeFunctionResult({ abi: ABI, functionName: 'look', data });
  if (found.length !== items.length) throw new RangeError('the contract answers of others');
  const places = new Map([...items.filter(isEpoch), ...items.filter(isBlob)].map((item, i) => [item, i]));
  return items.map((item) => {
    const stored = found[places.get(item)!]!;
    return stored.number === 0n ? undefined : stored;
  });
}

export const ownerCall = (): Hex => encodeFunctionData({ abi: ABI, functionName: 'owner' });

export const readOwner = (data: Hex): Hex => {
  const owner: Hex = decodeFunctionResult({ abi: ABI, functionName: 'owner', data });
  return owner.toLowerCase() as Hex;
};

/** Whether a block's events have the one that the contract writes with an entry. */
export function hasEvent(logs: readonly Log[], contract: string, item: AnchorItem, stored: Stored): boolean {
  const topics =
    item.kind === 'epoch'
      ? encodeEventTopics({
          abi: ABI,
          eventName: 'EpochAnchored',
          args: { ...epochOf(item), digest: stored.digest },
        })
      : encodeEventTopics({ abi: ABI, eventName: 'BlobAnchored', args: { digest: stored.digest } });
  return logs.some(
    (log) =>
      log.address === contract &&
      log.topics.length === topics.length &&
      log.data.length === 66 &&
      log.topics.every((topic, i) => topic === topics[i]) &&
      BigInt(log.data) === stored.total,
  );
}

export interface Transaction {
  readonly chainId: number;
  readonly nonce: number;
  /** Undefined: it makes a contract. */
  readonly to: Hex | undefined;
  readonly data: Hex;
  readonly gas: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint;
}

export interface Account {
  /** Lower case. */
  readonly address: Hex;
  /** @returns the bytes to send, and the hash that blocks know them by. */
  sign(transaction: Transaction): Promise<{ readonly bytes: Hex; readonly hash: Hex }>;
}

const KEY = /^(?:0x)?([0-9a-f]{64})$/i;

/** @throws HoldfastError `ConfigInvalid`, code `credentials_invalid`, without a word of the key. */
export function accountOf(key: string): Account {
  const digits = KEY.exec(key.trim())?.[1];
  try {
    if (digits !== undefined) return account(`0x${digits.toLowerCase()}`);
  } catch {
    // Out of range; the message would show it.
  }
  throw new HoldfastError('ConfigInvalid', 'the key of the account that anchors is none', {
    code: 'credentials_invalid',
    hint: 'Give 64 hex digits.',
  });
}

function account(key: Hex): Account {
  const signer = privateKeyToAccount(key);
  return {
    address: signer.address.toLowerCase() as Hex,
    async sign({ to, ...transaction }) {
      const bytes = await signer.signTransaction({ type: 'eip1559', to: to ?? null, ...transaction });
      return { bytes, hash: keccak256(bytes) };
    },
  };
}
