import type { LeftOut } from '../../catalog/directory.ts';
import type { BlobAddress } from '../../core/address.ts';
import type { Certificate } from '../../placement/certificate.ts';
import type { Fork } from '../../records/forks.ts';
import type { FailedAttempt } from './failures.ts';

export interface PutProgress {
  /** Plaintext read so far. */
  readonly bytesRead: number;
  /** Bytes acknowledged by providers, redundancy included. */
  readonly bytesStored: number;
  /** Plaintext in all, if the source knows. */
  readonly totalBytes: number | undefined;
}

export interface PutResult {
  readonly manifest: BlobAddress;
  readonly name: string | undefined;
  readonly size: number;
  readonly certificate: Certificate;
  /** So many of its bytes an earlier put had stored; here they were only read again, and found the same. */
  readonly resumedBytes: number;
  /** Why what an earlier put of the name had stored could not be used; undefined also where there was none. */
  readonly begunAnew: string | undefined;
  /** Bytes at the providers, redundancy and nodes included. */
  readonly stored: number;
  readonly failedAttempts: readonly FailedAttempt[];
  /** Providers that got no shards from the start, and why. */
  readonly leftOut: readonly LeftOut[];
  /** Blobs that providers which were given up on may still hold; deleted now, or queued for it. */
  readonly orphans: number;
  /** Providers that hold a copy of the name's pointer. */
  readonly pointerCopies: number;
  /**
   * Any this many failure domains may vanish together and a provider still has the name's pointer; −1 where none has.
   * Below the certificate's `tolerates`, recovery might lose the name with losses that the object survives; later
   * commands try to mend that.
   */
  readonly nameTolerates: number | undefined;
  /** Providers that did not say in time that they took one; they are told again later. */
  readonly pointerUnconfirmed: readonly string[];
  /** Versions of the name that the providers held and this state did not know of. */
  readonly forks: readonly Fork[];
  /**
   * A provider knows of changes that this state has not seen: the object is stored, and what it replaced is kept. Run
   * `holdfast recover`.
   */
  readonly stateBehind: boolean;
  /**
   * Too few providers said whether a copy of this home took the put for dead, as one may that was made while it ran. The
   * object is stored; a later command asks again, and takes the put back if one did.
   */
  readonly unconfirmed: boolean;
  /**
   * The manifest that the name stood for before; its blobs are deleted after `retention.replaced_seconds`. Undefined also
   * when forks were found, or the state is not known to be the latest: then they are left alone.
   */
  readonly replaced: BlobAddress | undefined;
}
