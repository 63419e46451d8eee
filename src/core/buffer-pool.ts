/**
 * Memory that is used again and again. New memory costs more than what is done with it here: its pages are given by
 * the kernel one by one, and every 64 MiB of it make V8 look for garbage.
 */
export interface BufferPool {
  /** At least `size` bytes of no particular content, undefined when that would be more than the pool may hold. */
  take(size: number): Uint8Array | undefined;
  /** Gives back what was taken. Nothing may read it any more. */
  give(buffer: Uint8Array): void;
  /** Counts what was taken no longer and never hands it out again: something may still read it. */
  forget(buffer: Uint8Array): void;
  /** Bytes held, in use or not. */
  readonly heldBytes: number;
}

const SMALLEST = 4096;

/** Lengths of buffers: four steps to each doubling, so at most a fifth is wasted. */
function capacityFor(size: number): number {
  if (size <= SMALLEST) return SMALLEST;
  const step = 2 ** (Math.ceil(Math.log2(size)) - 3);
  return Math.ceil(size / step) * step;
}

export function createBufferPool(maxBytes: number): BufferPool {
  const idle = new Map<number, Uint8Array[]>();
  let idleBytes = 0;
  let held = 0;

  /** Leaves idle buffers of other lengths to the garbage collector. */
  const letGo = (bytes: number): void => {
    for (const [capacity, buffers] of idle) {
      for (; bytes > 0 && buffers.length > 0; bytes -= capacity) {
        buffers.pop();
        idleBytes -= capacity;
        held -= capacity;
      }
    }
  };

  return {
    get heldBytes() {
      return held;
    },
    take(size) {
      const capacity = capacityFor(size);
      const again = idle.get(capacity)?.pop();
      if (again !== undefined) {
        idleBytes -= capacity;
        return again;
      }
      if (held - idleBytes + capacity > maxBytes) return undefined;
      letGo(held + capacity - maxBytes);
      held += capacity;
      const { buffer, byteOffset } = Buffer.allocUnsafeSlow(capacity);
      return new Uint8Array(buffer, byteOffset, capacity);
    },
    give(buffer) {
      const buffers = idle.get(buffer.length);
      if (buffers === undefined) idle.set(buffer.length, [buffer]);
      else buffers.push(buffer);
      idleBytes += buffer.length;
    },
    forget(buffer) {
      held -= buffer.length;
    },
  };
}
