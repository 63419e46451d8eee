import { abortError, throwIfAborted } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import { createSharedMemory, WASM_PAGE_BYTES, type WasmMemory } from '../core/wasm.ts';

/** A piece of the arena. `bytes` views shared memory: valid until the slab is released. */
export interface Slab {
  readonly offset: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

/**
 * One shared `WebAssembly.Memory` that all chunks in flight live in, so that files, cipher, erasure kernel, hashes
 * and network work on the same bytes without copies, in any thread. Its size is the ceiling of the pipeline's
 * memory: who wants more waits, first come, first served.
 */
export interface Arena {
  readonly memory: WasmMemory;
  readonly capacity: number;
  /** A slab at once, or undefined when there is no room (or others are waiting). */
  tryAllocate(length: number): Slab | undefined;
  /** Waits for room. @throws HoldfastError `QuotaExceeded` for more than the arena holds; `Aborted`. */
  allocate(length: number, signal?: AbortSignal): Promise<Slab>;
  /** Several at once or none: two callers that each hold a part and wait for the rest could block each other. */
  allocateEach(lengths: readonly number[], signal?: AbortSignal): Promise<Slab[]>;
  /** Whether someone waits. */
  readonly isShort: boolean;
  /** Calls back when someone has to wait, so that memory held only to be fast is given up. @returns how to unsubscribe. */
  onShort(relieve: () => void): () => void;
  /** Gives back the end of a slab; what remains is returned in its place. */
  shrink(slab: Slab, length: number): Slab;
  release(slab: Slab): void;
}

/** Slabs start on page borders: aligned for vectors and apart from each other's cache lines. */
const ALIGN = 4096;

interface Waiter {
  readonly length: number;
  readonly grant: (slab: Slab) => void;
}

interface Hole {
  offset: number;
  length: number;
}

export const createArena = (capacityBytes: number): Arena => new SharedArena(capacityBytes);

class SharedArena implements Arena {
  readonly memory: WasmMemory;
  readonly capacity: number;
  readonly #holes: Holes;
  readonly #waiters: Waiter[] = [];
  readonly #relievers = new Set<() => void>();

  constructor(capacityBytes: number) {
    this.capacity = Math.ceil(capacityBytes / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
    this.memory = createSharedMemory(this.capacity);
    this.#holes = new Holes(this.capacity);
  }

  get isShort(): boolean {
    return this.#waiters.length > 0;
  }

  tryAllocate(length: number): Slab | undefined {
    return this.isShort ? undefined : this.#take(length);
  }

  async allocate(length: number, signal?: AbortSignal): Promise<Slab> {
    throwIfAborted(signal, 'waiting for memory');
    if (aligned(length) > this.capacity) {
      throw new HoldfastError(
        'QuotaExceeded',
        `a chunk needs ${length} bytes, the arena has ${this.capacity}`,
        {
          code: 'arena_too_small',
          hint: 'Raise limits.memory_bytes in the configuration.',
        },
      );
    }
    const slab = this.tryAllocate(length);
    if (slab !== undefined) return slab;
    const waiting = this.#wait(length, signal);
    for (const relieve of this.#relievers) relieve();
    return waiting;
  }

  async allocateEach(lengths: readonly number[], signal?: AbortSignal): Promise<Slab[]> {
    const whole = await this.allocate(
      lengths.reduce((sum, length) => sum + aligned(length), 0),
      signal,
    );
    let { offset } = whole;
    return lengths.map((length) => {
      const slab = this.#view(offset, length);
      offset += aligned(length);
      return slab;
    });
  }

  onShort(relieve: () => void): () => void {
    this.#relievers.add(relieve);
    return () => this.#relievers.delete(relieve);
  }

  shrink(slab: Slab, length: number): Slab {
    const kept = aligned(length);
    this.#give(slab.offset + kept, aligned(slab.length) - kept);
    return this.#view(slab.offset, length);
  }

  release(slab: Slab): void {
    this.#give(slab.offset, aligned(slab.length));
  }

  #view(offset: number, length: number): Slab {
    return { offset, length, bytes: new Uint8Array(this.memory.buffer, offset, length) };
  }

  #take(length: number): Slab | undefined {
    const offset = this.#holes.take(aligned(length));
    return offset === undefined ? undefined : this.#view(offset, length);
  }

  #give(offset: number, length: number): void {
    if (length === 0) return;
    this.#holes.give(offset, length);
    this.#serve();
  }

  #serve(): void {
    while (this.#waiters.length > 0) {
      const slab = this.#take(this.#waiters[0]!.length);
      if (slab === undefined) break;
      this.#waiters.shift()!.grant(slab);
    }
  }

  #wait(length: number, signal: AbortSignal | undefined): Promise<Slab> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        this.#serve(); // those behind may need less
        reject(abortError(signal as AbortSignal, 'waiting for memory'));
      };
      const waiter: Waiter = {
        length,
        grant: (slab) => {
          signal?.removeEventListener('abort', onAbort);
          resolve(slab);
        },
      };
      this.#waiters.push(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

/** The free ranges of the arena, first fit. */
class Holes {
  /** By offset, never adjacent. */
  readonly #holes: Hole[];

  constructor(capacity: number) {
    this.#holes = [{ offset: 0, length: capacity }];
  }

  /** @returns where the range begins, undefined when none is as long. */
  take(length: number): number | undefined {
    const index = this.#holes.findIndex((hole) => hole.length >= length);
    const hole = this.#holes[index];
    if (hole === undefined) return undefined;
    if (hole.length === length) this.#holes.splice(index, 1);
    else this.#holes[index] = { offset: hole.offset + length, length: hole.length - length };
    return hole.offset;
  }

  give(offset: number, length: number): void {
    const behind = this.#holes.findIndex((hole) => hole.offset > offset);
    const at = behind < 0 ? this.#holes.length : behind;
    this.#holes.splice(at, 0, { offset, length });
    this.#merge(at);
    if (at > 0) this.#merge(at - 1);
  }

  /** Joins the hole at `index` with its right neighbour if they touch. */
  #merge(index: number): void {
    const hole = this.#holes[index]!;
    const next = this.#holes[index + 1];
    if (next === undefined || hole.offset + hole.length !== next.offset) return;
    hole.length += next.length;
    this.#holes.splice(index + 1, 1);
  }
}

const aligned = (length: number): number => Math.max(ALIGN, Math.ceil(length / ALIGN) * ALIGN);
