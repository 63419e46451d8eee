import { addressOf, type BlobAddress } from '../../core/address.ts';
import type { Blake3 } from '../../core/b3/blake3.ts';
import { toHex } from '../../core/bytes.ts';
import { HoldfastError } from '../../core/errors.ts';
import type { RandomBytes } from '../../core/random.ts';
import type { BlobAdapter, SlotName } from '../adapter.ts';

export type Capability = 'list' | 'slots' | 'replacing at once';

/** One promise of the contract, checked. Throws when it is not kept. */
export interface ConformanceCase {
  readonly name: string;
  /** Skipped, and said so, where the adapter states that it cannot. */
  readonly requires?: Capability;
  run(context: CaseContext): Promise<void>;
}

export interface Blob {
  readonly bytes: Uint8Array;
  readonly address: BlobAddress;
}

/** What a case works with. All that it makes here is removed from the provider after it. */
export interface CaseContext {
  readonly adapter: BlobAdapter;
  readonly largeBytes: number;
  readonly manyBlobs: number;
  /** A fresh random blob, not stored. */
  blob(size: number): Blob;
  /** The same, stored. */
  stored(size: number): Promise<Blob>;
  /** A fresh slot name. */
  slot(hexDigits?: number): SlotName;
  addressOf(bytes: Uint8Array): BlobAddress;
  /** Puts bytes under an address that they need not have. The case is skipped where that cannot be done. */
  plant(address: BlobAddress, bytes: Uint8Array): Promise<void>;
}

/** Puts bytes under an address without the adapter, which takes only those that have it. */
export type Plant = (address: BlobAddress, bytes: Uint8Array) => Promise<void>;

/** Thrown by a case that cannot be tried here; the message says why. */
export class Skipped extends Error {}

export interface TrackedContext extends CaseContext {
  /** @param through an adapter for the same provider; the case may have closed its own. */
  cleanUp(through: BlobAdapter): Promise<void>;
}

export function createContext(
  adapter: BlobAdapter,
  deps: { readonly blake3: Blake3; readonly random: RandomBytes; readonly plant?: Plant | undefined },
  sizes: { readonly largeBytes: number; readonly manyBlobs: number },
): TrackedContext {
  const addresses = new Set<BlobAddress>();
  const slots = new Set<SlotName>();
  const hash = (bytes: Uint8Array): BlobAddress => {
    const address = addressOf(deps.blake3.hash(bytes));
    addresses.add(address);
    return address;
  };
  const blob = (size: number): Blob => {
    const bytes = noise(size, deps.random);
    return { bytes, address: hash(bytes) };
  };
  return {
    adapter,
    ...sizes,
    blob,
    addressOf: hash,
    async stored(size) {
      const made = blob(size);
      await adapter.store(made.address, [made.bytes]);
      return made;
    },
    async plant(address, bytes) {
      hash(bytes); // a provider that names blobs itself keeps them under their own address
      if (deps.plant !== undefined) return deps.plant(address, bytes);
      await adapter.store(address, [bytes], { replace: true }).catch(ifChecked);
    },
    slot(hexDigits = 32) {
      const name = toHex(deps.random(hexDigits / 2));
      slots.add(name);
      return name;
    },
    async cleanUp(through) {
      for (const address of addresses) await through.delete(address);
      if (through.capabilities.supportsSlots)
        for (const name of slots) await through.deleteSlot(name, { forget: true });
    },
  };
}

function ifChecked(error: unknown): never {
  const { kind, code } = error instanceof HoldfastError ? error : {};
  if (kind !== 'HashMismatch' && code !== 'bad_answer') throw error;
  throw new Skipped('the provider checks what it takes, so nothing wrong can be put there');
}

/** Fresh bytes that differ from every other call's; cheap for megabytes. */
function noise(size: number, random: RandomBytes): Uint8Array {
  const block = random(Math.min(size, 65_536));
  const out = new Uint8Array(size);
  for (let at = 0, round = 0; at < size; at += block.length, round++) {
    out.set(block.subarray(0, size - at), at);
    out[at] = round & 0xff;
    if (at + 1 < size) out[at + 1] = round >> 8;
  }
  return out;
}
