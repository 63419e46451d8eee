import { concatBytes, equalBytes, utf8Encode } from '../../core/bytes.ts';
import type { RandomBytes } from '../../core/random.ts';
import { keyedHash } from '../../keys/derivation.ts';
import type { EpochKeys, GatewayKeys } from '../../keys/gateway.ts';
import { type ReadAck, type ReadGrant, unissued } from './records.ts';

export const EPOCH_MS = 3_600_000;

export const epochOf = (ms: number): number => Math.floor(ms / EPOCH_MS);

/** What is read, and for whom. */
export interface ReadRequest {
  /** Digest of the root node. */
  readonly manifest: Uint8Array;
  /** Who is credited; empty for nobody. */
  readonly provider: string;
  readonly domain: string;
  readonly path: string;
  /** Whatever tells clients apart, such as an address. */
  readonly client: string;
  /** Bytes that the read is to give. */
  readonly length: number;
}

/** Issues ids of reads, and knows its own again. It keeps nothing of them. */
export class Grants {
  readonly #gateway: Uint8Array;
  readonly #keys: GatewayKeys;
  readonly #random: RandomBytes;
  /** Of the epochs of late: there are two at a time. */
  readonly #epochs = new Map<number, EpochKeys>();

  constructor(gateway: Uint8Array, keys: GatewayKeys, random: RandomBytes) {
    this.#gateway = gateway;
    this.#keys = keys;
    this.#random = random;
  }

  /** @param now milliseconds since the Unix epoch. */
  issue(request: ReadRequest, now: number): ReadGrant {
    const { manifest, provider, domain, path, client, length } = request;
    const keys = this.#of(epochOf(now));
    const grant: ReadGrant = {
      kind: 'grant',
      gateway: this.#gateway,
      ...{ manifest, provider, domain, length },
      pathHash: keyedHash(keys.path, utf8Encode(path)),
      clientHash: keyedHash(keys.client, utf8Encode(client)),
      readId: this.#random(16),
      issued: now,
    };
    return { ...grant, readId: concatBytes(grant.readId, tagOf(keys, grant)) };
  }

  /** Commitment to a client. @param now milliseconds since the Unix epoch. */
  clientHash(client: string, now: number): Uint8Array {
    return keyedHash(this.#of(epochOf(now)).client, utf8Encode(client));
  }

  /** Whether it was issued here, for these fields. */
  isOwn(read: ReadAck): boolean {
    return equalBytes(read.readId.subarray(16), tagOf(this.#of(epochOf(read.issued)), read));
  }

  #of(epoch: number): EpochKeys {
    const known = this.#epochs.get(epoch);
    if (known !== undefined) return known;
    const keys = this.#keys.ofEpoch(epoch);
    if (this.#epochs.size >= 4) this.#epochs.delete(this.#epochs.keys().next().value!);
    this.#epochs.set(epoch, keys);
    return keys;
  }
}

const tagOf = (keys: EpochKeys, read: ReadGrant | ReadAck): Uint8Array =>
  keyedHash(keys.readId, unissued(read)).subarray(0, 16);
