import { addressOf, type BlobAddress, digestOf } from '../core/address.ts';
import { concatBytes } from '../core/bytes.ts';
import { HoldfastError } from '../core/errors.ts';

/** CIDv1, dag-cbor, BLAKE3-256: `01 71 1e 20` and the digest. */
const PREFIX = Uint8Array.of(0x01, 0x71, 0x1e, 0x20);

/** A link to another node of the DAG. */
export class Cid {
  readonly address: BlobAddress;

  constructor(address: BlobAddress) {
    this.address = address;
  }

  get bytes(): Uint8Array {
    return concatBytes(PREFIX, digestOf(this.address));
  }

  static fromBytes(bytes: Uint8Array): Cid {
    if (bytes.length !== 36 || !PREFIX.every((byte, i) => bytes[i] === byte)) {
      throw new HoldfastError('Corrupt', 'a link is not a dag-cbor CID with a BLAKE3 digest', {
        code: 'bad_link',
      });
    }
    return new Cid(addressOf(bytes.subarray(4)));
  }
}
