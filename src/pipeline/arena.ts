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
  /** Several at once or none: whoever waits for the rest while holding a part could block others that do the same. */
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

export function createArena(capacityBytes: number): Arena {
  const capacity = Math.ceil(capacityBytes / WASM_PAGE_BYTES) * WASM_PAGE_BYTES;
  const memory = createSharedMemory(capacity);
  /** Free ranges by offset, never adjacent. */
  const holes: Hole[] = [{ offset: 0, length: capacity }];
  const waiters: Waiter[] = [];
  const relievers = new Set<() => void>();

  const view = (offset: number, length: number): Slab => ({
    offset,
    length,
    bytes: new Uint8Array(memory.buffer, offset, length),
  });

  const take = (length: number): Slab | undefined => {
    const need = aligned(length);
    const index = holes.findIndex((hole) => hole.length >= need);
    if (index < 0) return undefined;
    const hole = holes[index]!;
    const slab = view(hole.offset, length);
    if (hole.length === need) holes.splice(index, 1);
    else holes[index] = { offset: hole.offset + need, length: hole.length - need };
    return slab;
  };

  const give = (offset: number, length: number): void => {
    if (length === 0) return;
    let at = holes.findIndex((hole) => hole.offset > offset);
    if (at < 0) at = holes.length;
    holes.splice(at, 0, { offset, length });
    merge(holes, at);
    if (at > 0) merge(holes, at - 1);
    serve();
  };

  const serve = (): void => {
    while (waiters.length > 0) {
      const slab = take(waiters[0]!.length);
      if (slab === undefined) break;
      waiters.shift()!.grant(slab);
    }
  };

  const allocate = async (length: number, signal: AbortSignal | undefined): Promise<Slab> => {
    throwIfAborted(signal, 'waiting for memory');
    if (aligned(length) > capacity) {
      throw new HoldfastError('QuotaExceeded', `a chunk needs ${length} bytes, the arena has ${capacity}`, {
        code: 'arena_too_small',
        hint: 'Raise limits.memory_bytes in the configuration.',
      });
    }
    const slab = waiters.length === 0 ? take(length) : undefined;
    if (slab !== undefined) return slab;
    const waiting = wait(waiters, serve, length, signal);
    for (const relieve of relievers) relieve();
    return waiting;
  };

  return {
    memory,
    capacity,
    tryAllocate: (length) => (waiters.length > 0 ? undefined : take(length)),
    allocate,
    async allocateEach(lengths, signal) {
      const whole = await allocate(
        lengths.reduce((sum, length) => sum + aligned(length), 0),
        signal,
      );
      let { offset } = whole;
      return lengths.map((length) => {
        const slab = view(offset, length);
        offset += aligned(length);
        return slab;
      });
    },
    get isShort() {
      return waiters.length > 0;
    },
    onShort(relieve) {
      relievers.add(relieve);
      return () => relievers.delete(relieve);
    },
    shrink(slab, length) {
      const kept = aligned(length);
      give(slab.offset + kept, aligned(slab.length) - kept);
      return view(slab.offset, length);
    },
    release: (slab) => give(slab.offset, aligned(slab.length)),
  };
}

function wait(
  waiters: Waiter[],
  serve: () => void,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Slab> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      waiters.splice(waiters.indexOf(waiter), 1);
      serve(); // those behind may need less
      reject(abortError(signal as AbortSignal, 'waiting for memory'));
    };
    const waiter: Waiter = {
      length,
      grant: (slab) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(slab);
      },
    };
    waiters.push(waiter);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Joins the hole at `index` with its right neighbour if they touch. */
function merge(holes: Hole[], index: number): void {
  const hole = holes[index]!;
  const next = holes[index + 1];
  if (next === undefined || hole.offset + hole.length !== next.offset) return;
  hole.length += next.length;
  holes.splice(index + 1, 1);
}

const aligned = (length: number): number => Math.max(ALIGN, Math.ceil(length / ALIGN) * ALIGN);
