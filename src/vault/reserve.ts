import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../core/errors.ts';
import type { RandomBytes } from '../core/random.ts';

/** Room for the state on its disk, so that what frees space can still be done when there is none. */
export interface HomeRoom {
  /** Before something is removed: gives the reserve up where the disk is all but full. */
  beforeRemoval(): Promise<void>;
  /** @throws HoldfastError `QuotaExceeded`, code `engine_full`: what is left is kept for removals. */
  beforeStore(): Promise<void>;
  /** Makes the reserve anew, as far as there is room. Never rejects. */
  refill(): Promise<void>;
  /** Whether the reserve is there, whole; undefined: there is none to be. Never rejects. */
  isWhole(): Promise<boolean | undefined>;
}

/** Enough for LevelDB to open, which writes its log anew as a table, and for the records of a removal. */
const RESERVE_BYTES = 2 * 1024 ** 2;
/** Nothing is stored with less: it would fail soon, and each time take something of what is kept for removals. */
const STORE_BYTES = 256 * 1024;
/** The reserve grows by pieces, and leaves room for one. */
const PIECE = 64 * 1024;

/** A file of the home that takes up room until it is needed. */
export class HomeReserve implements HomeRoom {
  readonly #home: string;
  readonly #file: string;
  readonly #random: RandomBytes;
  #released = false;

  constructor(home: string, random: RandomBytes) {
    this.#home = home;
    this.#file = join(home, 'reserve');
    this.#random = random;
  }

  async beforeRemoval(): Promise<void> {
    if ((await this.#free()) < RESERVE_BYTES / 2) await this.release();
  }

  async beforeStore(): Promise<void> {
    if (this.#released) await this.refill();
    if (!this.#released && (await this.#free()) >= STORE_BYTES) return;
    throw new HoldfastError('QuotaExceeded', 'no space is left on the disk that holds the home', {
      code: 'engine_full',
      hint: 'Nothing was stored. Free space there; `holdfast rm` works all the same.',
      context: { location: this.#home },
    });
  }

  /** Gives its room to whoever writes next. @returns false when there was none. */
  async release(): Promise<boolean> {
    if ((await this.#size()) === 0) return false;
    await rm(this.#file, { force: true });
    this.#released = true;
    return true;
  }

  async refill(): Promise<void> {
    try {
      const size = await this.#size();
      const lacking = RESERVE_BYTES - size;
      const more = Math.min(lacking, (await this.#free()) - PIECE);
      if (more >= PIECE) await this.#grow(more);
      if (more >= lacking) this.#released = false;
    } catch {
      // A reserve that cannot be made now is made by a later command.
    }
  }

  async isWhole(): Promise<boolean> {
    return (await this.#size()) >= RESERVE_BYTES;
  }

  /** Bytes that no file system keeps in less than their length. */
  async #grow(more: number): Promise<void> {
    const file = await open(this.#file, 'a', 0o600);
    try {
      for (let left = more; left >= PIECE; left -= PIECE) await file.write(this.#random(PIECE));
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #size(): Promise<number> {
    return stat(this.#file).then(
      ({ size }) => size,
      () => 0,
    );
  }

  /** A file system that does not say counts as one with room. */
  async #free(): Promise<number> {
    return statfs(this.#home).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => Number.POSITIVE_INFINITY,
    );
  }
}

/** For a state that lies on no disk. */
export const ROOM_ENOUGH: HomeRoom = {
  beforeRemoval: async () => {},
  beforeStore: async () => {},
  refill: async () => {},
  isWhole: async () => undefined,
};
