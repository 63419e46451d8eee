import { concatBytes, u64 } from '../core/bytes.ts';
import { CONTEXT, deriveKey } from './derivation.ts';

/** What a gateway's receipts are made with. None of it can be told from another, nor the key from any of it. */
export interface GatewayKeys {
  /** Of the Ed25519 key pair that signs the roots of its epochs. */
  readonly signingSeed: Uint8Array;
  /** Those of one epoch; what is made with them says nothing about another epoch. */
  ofEpoch(epoch: number): EpochKeys;
}

export interface EpochKeys {
  /** Commits to the path of a read. */
  readonly path: Uint8Array;
  /** Commits to the client of a read. */
  readonly client: Uint8Array;
  /** Authenticates the ids of reads. */
  readonly readId: Uint8Array;
}

/** @param key 32 random bytes, the gateway's own; never a vault's root. */
export function deriveGatewayKeys(key: Uint8Array): GatewayKeys {
  if (key.length !== 32) throw new TypeError("a gateway's key has 32 bytes");
  return {
    signingSeed: deriveKey(CONTEXT.gatewaySigning, key),
    ofEpoch(epoch) {
      const secret = deriveKey(CONTEXT.receiptsEpoch, concatBytes(key, u64(epoch)));
      return {
        path: deriveKey(CONTEXT.receiptsPath, secret),
        client: deriveKey(CONTEXT.receiptsClient, secret),
        readId: deriveKey(CONTEXT.receiptsReadId, secret),
      };
    },
  };
}
