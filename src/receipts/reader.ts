import { toHex } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { entryOf } from '../core/maps.ts';
import type { RandomBytes } from '../core/random.ts';
import type { Ed25519, Signer } from './ed25519/ed25519.ts';
import { epochOf } from './records/grants.ts';
import { decodeGrant, encodeReceipt, signAck } from './records/records.ts';

/** Who reads, and says what came. */
export interface ReceiptReader {
  /**
   * To be called when a read begins. When it has ended, or broken off, the result gives the acknowledgement for the gateway
   * that gave the grant; it takes the bytes that came. The time that it took is measured, so this machine's clock need not be right.
   * @param from whoever gave it, such as an origin: each gets keys of its own. Anybody can write the name of another gateway into
   * a grant, to learn what key its reader shows there. Default: one for all.
   * @throws HoldfastError `Corrupt`, code `receipt_malformed`; the result, TypeError for more bytes than were granted.
   */
  begin(grant: Uint8Array, from?: string): (bytes: number) => Uint8Array;
}

interface ReaderOptions {
  readonly ed25519: Ed25519;
  readonly clock: Clock;
  readonly random: RandomBytes;
}

/** Gateways and hours whose keys are kept. */
const MAX_KEYS = 64;

/** With a fresh key for each gateway and epoch, so that nothing joins what it read. */
export function createReceiptReader({ ed25519, clock, random }: ReaderOptions): ReceiptReader {
  const signers = new Map<string, Signer>();
  return {
    begin(encoded, from = '') {
      const grant = decodeGrant(encoded);
      const began = clock.monotonic();
      const hour = `${epochOf(grant.issued)} ${toHex(grant.gateway)} ${from}`;
      const signer = entryOf(signers, hour, () => ed25519.signer(random(32)));
      if (signers.size > MAX_KEYS) signers.delete(signers.keys().next().value!);
      return (bytes) => {
        const ts = grant.issued + Math.floor(clock.monotonic() - began);
        return encodeReceipt(signAck(grant, { bytes, ts }, signer));
      };
    },
  };
}
