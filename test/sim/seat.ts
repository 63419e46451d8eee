import type { Blake3 } from '../../src/core/b3/blake3.ts';
import { selectBlake3 } from '../../src/core/b3/select.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { Clock } from '../../src/core/clock.ts';
import { type Arena, createArena, type Slab } from '../../src/pipeline/arena.ts';
import { createInlineStage } from '../../src/pipeline/cpu/inline.ts';
import type { CpuStage, EncodeJob } from '../../src/pipeline/cpu/jobs.ts';
import type { Life, World } from './world.ts';

const ACCELERATION = { native: true, wasm: true } as const;
const ARENA_BYTES = 8 * 1024 * 1024;

/** Primitives count no time here: what they spend would differ from run to run. */
const NO_TIME: Clock = {
  now: () => 0,
  monotonic: () => 0,
  timer: () => () => {},
  sleep: async () => {},
};

/** What a process computes with: made once, lent to one process after the other. */
export interface Seat {
  readonly arena: Arena;
  readonly cpu: CpuStage;
}

const free: Seat[] = [];

/** @returns with a blake3 that is loaded, so that nothing is loaded during a run. */
export function takeSeat(): Seat {
  const seat = free.pop();
  if (seat !== undefined) return seat;
  const arena = createArena(ARENA_BYTES);
  return { arena, cpu: createInlineStage(arena.memory, ACCELERATION, NO_TIME) };
}

/** Loaded before any run. */
export const blake3: Blake3 = await selectBlake3(ACCELERATION);

/** An arena of which a process's share comes back when it dies, and is counted. */
export class Share {
  readonly arena: Arena;
  readonly #seat: Seat;
  readonly #held = new Map<number, Slab>();

  constructor(seat: Seat, life: Life) {
    this.#seat = seat;
    const inner = seat.arena;
    const held = this.#held;
    const taken = (slab: Slab): Slab => {
      held.set(slab.offset, slab);
      return slab;
    };
    /** Comes when who asked for it has died. */
    const untaken = (slabs: readonly Slab[]): Promise<never> => {
      for (const slab of slabs) inner.release(slab);
      return new Promise(() => {});
    };
    this.arena = {
      memory: inner.memory,
      capacity: inner.capacity,
      get isShort() {
        return inner.isShort;
      },
      tryAllocate(length) {
        const slab = inner.tryAllocate(length);
        return slab && taken(slab);
      },
      async allocate(length, signal) {
        const slab = await inner.allocate(length, signal);
        return life.alive ? taken(slab) : untaken([slab]);
      },
      async allocateEach(lengths, signal) {
        const slabs = await inner.allocateEach(lengths, signal);
        return life.alive ? slabs.map(taken) : untaken(slabs);
      },
      onShort: (relieve) => inner.onShort(() => life.alive && relieve()),
      shrink: (slab, length) => taken(inner.shrink(slab, length)),
      release(slab) {
        if (held.delete(slab.offset)) inner.release(slab);
      },
    };
  }

  /** Slabs that nobody has released. */
  get outstanding(): number {
    return this.#held.size;
  }

  giveBack(): void {
    while (this.#held.size > 0) {
      for (const [offset, slab] of [...this.#held]) {
        this.#held.delete(offset);
        this.#seat.arena.release(slab);
      }
    }
    free.push(this.#seat);
  }
}

/** A stage that remembers what every key has sealed. @param reused told of a key that sealed two things. */
export function watchedStage(
  { arena, cpu }: Seat,
  world: World,
  sealed: Map<string, string>,
  reused: (key: string) => void,
  hash: (bytes: Uint8Array) => Uint8Array,
): CpuStage {
  const memory = new Uint8Array(arena.memory.buffer);
  const watch = (job: EncodeJob): void => {
    const key = toHex(job.key);
    const plain = hash(memory.slice(job.frame, job.frame + job.plainLength));
    const what = `${toHex(plain)} ${toHex(job.objectId)} ${job.index} ${job.last}`;
    if ((sealed.get(key) ?? what) !== what) reused(key);
    sealed.set(key, what);
  };
  // The first job of a kind loads what it needs, which takes the machine as long as it likes.
  return {
    encode(job) {
      watch(job);
      return world.standStill(() => cpu.encode(job));
    },
    decode: (job) => world.standStill(() => cpu.decode(job)),
    rebuild: (job) => world.standStill(() => cpu.rebuild(job)),
    hash: (job) => world.standStill(() => cpu.hash(job)),
    close: async () => {},
  };
}
