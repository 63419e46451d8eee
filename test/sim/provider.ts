import { abortable, throwIfAborted } from '../../src/core/abort.ts';
import { toHex } from '../../src/core/bytes.ts';
import { HoldfastError } from '../../src/core/errors.ts';
import type { Slot } from '../../src/providers/adapter.ts';
import { bufferedUpload, type Driver, readsOf } from '../../src/providers/driver.ts';
import { notFound, slotConflict } from '../../src/providers/guard.ts';
import { join } from '../../src/providers/pieces.ts';
import type { Fault } from './faults.ts';
import type { SealedRecords } from './sealed.ts';
import type { Stream, Streams } from './streams.ts';
import type { Life, World } from './world.ts';

/** How often what goes wrong at a provider, for one request. */
export interface ProviderFaults {
  readonly refused: number;
  readonly lostAnswer: number;
  readonly silent: number;
  readonly slow: number;
  readonly corrupt: number;
  readonly partialList: number;
  /** A request that was given up, or whose sender died, takes effect all the same, and late. */
  readonly lateEffect: number;
}

export const NO_FAULTS: ProviderFaults = {
  refused: 0,
  lostAnswer: 0,
  silent: 0,
  slow: 0,
  corrupt: 0,
  partialList: 0,
  lateEffect: 0,
};

type Outcome = Extract<Fault, 'refused' | 'lost answer' | 'silent' | 'slow'> | 'none';

/** How often a provider lies. */
export interface Lies {
  /** It gives other bytes than it took. */
  readonly rot: number;
  /** It says that it has stored what it drops. */
  readonly drop: number;
}

interface Surroundings {
  readonly world: World;
  readonly streams: Streams;
  readonly records: SealedRecords;
}

/** One provider: what it holds, and how it behaves. Every process reaches the same one. */
export class SimProvider {
  readonly id: string;
  readonly blobs = new Map<string, { readonly bytes: Uint8Array; readonly modifiedUnixMs: number }>();
  readonly slots = new Map<string, Slot>();
  faults: ProviderFaults = NO_FAULTS;
  /** Nothing is answered at all. */
  away = false;
  /** Nothing more is taken. */
  full = false;
  /** Nobody is let in. */
  denied = false;
  lies: Lies | undefined;
  /** Told of each blob that was there and was deleted. */
  onDeleted: (address: string) => void = () => {};
  readonly #world: World;
  readonly #streams: Streams;
  readonly #records: SealedRecords;

  constructor(id: string, { world, streams, records }: Surroundings) {
    this.id = id;
    this.#world = world;
    this.#streams = streams;
    this.#records = records;
  }

  /** All that it holds is gone. */
  wipe(): void {
    this.blobs.clear();
    this.slots.clear();
  }

  /** A copy of all that it holds. @returns puts that back in the place of what it holds then. */
  backup(): () => void {
    const blobs = [...this.blobs];
    const slots = [...this.slots];
    return () => {
      this.wipe();
      for (const [address, blob] of blobs) this.blobs.set(address, blob);
      // A slot that was written anew is another one to whoever had read it.
      for (const [name, { bytes }] of slots) this.slots.set(name, { bytes, version: this.#newVersion() });
    };
  }

  /** Some of what it holds has a flipped bit, or is cut short. */
  rot(chance: Stream): void {
    const rotten = (bytes: Uint8Array): Uint8Array => {
      if (bytes.length === 0) return bytes;
      if (chance.chance(0.3)) return bytes.slice(0, chance.between(0, bytes.length - 1));
      const copy = Uint8Array.from(bytes);
      copy[chance.between(0, bytes.length - 1)]! ^= 1 << chance.between(0, 7);
      return copy;
    };
    const share = chance.next();
    for (const [address, { bytes, modifiedUnixMs }] of this.blobs) {
      if (chance.chance(share)) this.blobs.set(address, { bytes: rotten(bytes), modifiedUnixMs });
    }
    for (const [name, { bytes }] of this.slots) {
      if (chance.chance(share)) this.slots.set(name, { bytes: rotten(bytes), version: this.#newVersion() });
    }
  }

  /** One in a hundred blobs, one at least, has a flipped bit. @returns false where there is none. */
  rotSilently(chance: Stream): boolean {
    const addresses = [...this.blobs.keys()];
    for (let i = 0; i < Math.ceil(addresses.length / 100); i++) this.#flip(chance.pick(addresses), chance);
    return addresses.length > 0;
  }

  /** Each blob has a flipped bit with this probability. @returns how many have. */
  rotShare(chance: Stream, share: number): number {
    const rotten = [...this.blobs.keys()].filter(() => chance.chance(share));
    for (const address of rotten) this.#flip(address, chance);
    return rotten.length;
  }

  #flip(address: string, chance: Stream): void {
    const { bytes, modifiedUnixMs } = this.blobs.get(address)!;
    const rotten = Uint8Array.from(bytes);
    rotten[chance.between(0, bytes.length - 1)]! ^= 1 << chance.between(0, 7);
    this.blobs.set(address, { bytes: rotten, modifiedUnixMs });
  }

  #newVersion(): string {
    return toHex(this.#streams.secrets.bytes(8));
  }

  #checkRoom(): void {
    if (!this.full) return;
    this.#world.fired('full provider');
    throw new HoldfastError('QuotaExceeded', 'there is no room left');
  }

  /** What one process sends to it. */
  driverFor(life: Life): Driver {
    const call = <T>(operation: string, signal: AbortSignal | undefined, effect: () => T): Promise<T> => {
      throwIfAborted(signal, operation);
      const asked = this.#send(operation, life, signal, effect);
      return signal === undefined ? asked : abortable(asked, signal, operation);
    };
    const { blobs, slots } = this;
    const store: Driver['store'] = (address, parts, size, signal, replace) => {
      const bytes = join(parts, size);
      this.#records.inBlob(bytes);
      return call('store', signal, () => {
        this.#checkRoom();
        if (this.lies !== undefined && this.#streams.upkeep.chance(this.lies.drop)) {
          this.#world.fired('dropped store');
          return { existed: false };
        }
        const there = blobs.get(address)?.bytes.length;
        const existed = replace ? there !== undefined : there === bytes.length;
        const modifiedUnixMs = 1_700_000_000_000 + Math.floor(this.#world.nowMs);
        if (replace || !existed) blobs.set(address, { bytes, modifiedUnixMs });
        return { existed };
      });
    };
    const read: Driver['read'] = (address, offset, length, signal) =>
      this.#read(() => call('fetch', signal, () => this.#bytes(address, offset, length)));
    const listed = <T>(signal: AbortSignal | undefined, all: () => T[]): AsyncIterable<T> =>
      this.#list(() => call('list', signal, all));
    return {
      id: this.id,
      capabilities: { supportsList: true, supportsSlots: true, durable: true, maxBlobBytes: 2 ** 30 },
      store,
      openUpload: async (_, signal, replace) => bufferedUpload(store, signal, replace),
      ...readsOf(read),
      stat: (address, signal) =>
        call('stat', signal, () => {
          const found = blobs.get(address);
          return found && { size: found.bytes.length, modifiedUnixMs: found.modifiedUnixMs };
        }),
      delete: (address, signal) =>
        call('delete', signal, () => {
          if (blobs.delete(address)) this.onDeleted(address);
        }),
      list: (prefixHex, after, _, signal) =>
        listed(signal, () =>
          [...blobs.keys()]
            .filter((at) => at > after && at.startsWith(prefixHex, 3))
            .sort()
            .map((address) => {
              const { bytes, modifiedUnixMs } = blobs.get(address)!;
              return { address: address as never, size: bytes.length, modifiedUnixMs };
            }),
        ),
      probe: (signal) => call('probe', signal, () => ({ rttMs: 10 })),
      readSlot: (name, signal) => call('readSlot', signal, () => slots.get(name)),
      writeSlot: (name, given, expected, signal) => {
        const bytes = Uint8Array.from(given);
        this.#records.inSlot(bytes);
        return call('writeSlot', signal, () => {
          if (slots.get(name)?.version !== expected) throw slotConflict();
          this.#checkRoom();
          const version = this.#newVersion();
          slots.set(name, { bytes, version });
          return version;
        });
      },
      deleteSlot: (name, signal) => call('deleteSlot', signal, () => void slots.delete(name)),
      listSlots: (after, signal) =>
        listed(signal, () => [...slots.keys()].filter((name) => name > after).sort()),
      close: async () => {},
    };
  }

  #bytes(address: string, offset: number, length: number | undefined): Uint8Array {
    const found = this.blobs.get(address)?.bytes;
    if (found === undefined) throw notFound();
    const bytes = found.slice(offset, length === undefined ? undefined : offset + length);
    if (bytes.length > 0 && this.#streams.faults.chance(this.faults.corrupt)) {
      this.#world.fired('flipped bit');
      bytes[this.#streams.faults.between(0, bytes.length - 1)]! ^= 1;
    }
    if (bytes.length > 0 && this.lies !== undefined && this.#streams.upkeep.chance(this.lies.rot)) {
      this.#world.fired('lying read');
      bytes[this.#streams.upkeep.between(0, bytes.length - 1)]! ^= 1;
    }
    return bytes;
  }

  async *#read(ask: () => Promise<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    yield await ask();
  }

  async *#list<T>(ask: () => Promise<T[]>): AsyncGenerator<T, void, undefined> {
    const items = await ask();
    const { faults } = this.#streams;
    const cut = faults.chance(this.faults.partialList) ? faults.between(0, items.length) : items.length;
    yield* items.slice(0, cut);
    if (cut === items.length) return;
    this.#world.fired('partial list');
    throw new HoldfastError('Unavailable', 'the listing broke off');
  }

  #outcome(): Outcome {
    if (this.away) return 'silent';
    const draw = this.#streams.faults.next();
    const { refused, lostAnswer, silent, slow } = this.faults;
    const rates = [
      ['refused', refused],
      ['lost answer', lostAnswer],
      ['silent', silent],
      ['slow', slow],
    ] as const;
    let bound = 0;
    for (const [outcome, rate] of rates) {
      bound += rate;
      if (draw < bound) return outcome;
    }
    return 'none';
  }

  #admitted<T>(effect: () => T): T {
    if (!this.denied) return effect();
    this.#world.fired('denied provider');
    throw new HoldfastError('PermissionDenied', 'the key is not accepted');
  }

  /** The request travels, takes effect, and its answer travels back; each of the three may not come to pass. */
  #send<T>(operation: string, life: Life, signal: AbortSignal | undefined, effect: () => T): Promise<T> {
    const world = this.#world;
    const { network, faults } = this.#streams;
    const outcome = this.#outcome();
    if (outcome !== 'none') this.#world.fired(outcome);
    const lingers = faults.chance(this.faults.lateEffect);
    const factor = outcome === 'slow' ? 200 : 1;
    const there = (1 + 20 * network.next()) * factor + (outcome === 'silent' ? 90_000 * faults.next() : 0);
    const back = (1 + 20 * network.next()) * factor;
    const acts = outcome !== 'refused' && !(outcome === 'silent' && (this.away || faults.chance(0.5)));
    return new Promise((resolve, reject) => {
      world.schedule(there, () => {
        const givenUp = !life.alive || signal?.aborted === true;
        if (givenUp && !(lingers && acts)) return;
        if (givenUp) this.#world.fired('late effect');
        let answer: () => void = () => reject(unavailable());
        if (acts) {
          try {
            const result = this.#admitted(effect);
            answer = () => resolve(result);
          } catch (error) {
            answer = () => reject(error);
          }
        }
        world.note(this.id, operation, outcome, acts ? 1 : 0, givenUp ? 1 : 0);
        if (outcome === 'silent') return;
        life.after(back, outcome === 'lost answer' ? () => reject(unavailable()) : answer);
      });
    });
  }
}

const unavailable = (): HoldfastError => new HoldfastError('Unavailable', 'the connection was lost');
