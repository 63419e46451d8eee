import type { BlobAddress } from '../../core/address.ts';
import type { BlobAt } from '../../records/claims.ts';
import type { PutJournal } from '../../records/journal.ts';

/** What a put sent: journalled before it leaves, then acknowledged, refused, or neither. */
export class Outbox {
  readonly #journal: Pick<PutJournal, 'intend'>;
  readonly #onProgress: () => void;
  readonly #stored: BlobAt[] = [];
  /** Sent, and neither acknowledged nor refused. */
  readonly #open: Map<string, BlobAt> = new Map();
  /** Bytes of packs on their way, by provider. */
  readonly #sending: Map<string, number> = new Map();
  /** Sent, cancelled, and still being written by providers that ignore that. */
  readonly #left: Map<string, Promise<void>> = new Map();
  #bytesStored = 0;
  #plainStored = 0;

  /** @param onProgress called whenever more was acknowledged. */
  constructor(journal: Pick<PutJournal, 'intend'>, onProgress: () => void) {
    this.#journal = journal;
    this.#onProgress = onProgress;
  }

  /** Must resolve before the blob is sent. */
  async intend(provider: string, address: BlobAddress): Promise<void> {
    await this.#journal.intend(provider, address);
    this.#open.set(keyOf(provider, address), { provider, address, bytes: 0 });
  }

  /** An earlier run may have sent it, and nobody needs it. */
  leftover(blob: BlobAt): void {
    this.#open.set(keyOf(blob.provider, blob.address), blob);
  }

  /** The provider would not have the blob: it cannot be there. */
  refused(provider: string, address: BlobAddress): void {
    this.#open.delete(keyOf(provider, address));
  }

  /** The blob was cancelled and is still being written; it may appear until `settled`, which never rejects. */
  left(provider: string, address: BlobAddress, settled: Promise<void>): void {
    const key = keyOf(provider, address);
    this.#left.set(key, settled);
    void settled.then(() => this.#left.delete(key));
  }

  /** When a blob can no longer appear; undefined when that is so already. */
  settling({ provider, address }: BlobAt): Promise<void> | undefined {
    return this.#left.get(keyOf(provider, address));
  }

  /** The provider has the blob. @param kind quota counts shards and not nodes. */
  acknowledged(provider: string, address: BlobAddress, bytes: number, kind: 'shards' | 'node'): void {
    this.#open.delete(keyOf(provider, address));
    this.#stored.push({ provider, address, bytes: kind === 'shards' ? bytes : 0 });
    this.#bytesStored += bytes;
    this.#onProgress();
  }

  /** So much of the plaintext is stored. */
  plainAcknowledged(bytes: number): void {
    this.#plainStored += bytes;
    this.#onProgress();
  }

  /** Bytes of packs on their way to a provider: spoken for, and not yet counted as used. */
  sendingTo(provider: string): number {
    return this.#sending.get(provider) ?? 0;
  }

  /** Counts a pack as on its way while `send` runs. */
  async whileSending<T>(provider: string, bytes: number, send: () => Promise<T>): Promise<T> {
    this.#sending.set(provider, this.sendingTo(provider) + bytes);
    try {
      return await send();
    } finally {
      this.#sending.set(provider, this.sendingTo(provider) - bytes);
    }
  }

  /** Every blob that was acknowledged, for undoing. */
  get stored(): readonly BlobAt[] {
    return this.#stored;
  }

  /** Blobs that may be at providers that failed, were given up on, or were being sent when all stopped. */
  get orphans(): readonly BlobAt[] {
    return [...this.#open.values()];
  }

  /** Bytes acknowledged, redundancy and nodes included. */
  get bytesStored(): number {
    return this.#bytesStored;
  }

  /** Plaintext that what was acknowledged stands for. */
  get plainStored(): number {
    return this.#plainStored;
  }

  /** Bytes of shards that were acknowledged, by provider. */
  get usage(): Map<string, number> {
    const usage = new Map<string, number>();
    for (const { provider, bytes } of this.#stored) {
      if (bytes > 0) usage.set(provider, (usage.get(provider) ?? 0) + bytes);
    }
    return usage;
  }
}

const keyOf = (provider: string, address: BlobAddress): string => `${provider}/${address}`;
