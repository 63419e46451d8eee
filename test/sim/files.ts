import type { FileHandle } from 'node:fs/promises';
import type { Stream } from './streams.ts';

/** Long enough for several segments of the chunks that such runs have. */
const SHORTEST = 1_000_000;
const LONGEST = 6_000_000;

interface SimFile {
  readonly bytes: Uint8Array;
  readonly inode: bigint;
  readonly mtimeNs: bigint;
}

/** Files that are put under names, again and again until they are stored; some are changed in between. */
export class Files {
  readonly #draw: Stream;
  readonly #unfinished = new Map<string, SimFile>();
  #count = 1n;

  constructor(draw: Stream) {
    this.#draw = draw;
  }

  /** The name of a file that was begun and not stored, mostly; else this one. */
  nameOr(name: string): string {
    const begun = [...this.#unfinished.keys()];
    return begun.length > 0 && this.#draw.chance(0.7) ? this.#draw.pick(begun) : name;
  }

  /** What is to be put under a name now: what was not stored the last time, perhaps changed, or another file. */
  next(name: string): { readonly content: Uint8Array; readonly handle: FileHandle } {
    const before = this.#unfinished.get(name);
    const file = before === undefined ? this.#another() : this.#later(before);
    this.#unfinished.set(name, file);
    return { content: file.bytes, handle: handleOf(file) };
  }

  stored(name: string): void {
    this.#unfinished.delete(name);
  }

  #another(): SimFile {
    const bytes = this.#draw.bytes(this.#draw.between(SHORTEST, LONGEST));
    return { bytes, inode: this.#count++, mtimeNs: this.#count++ };
  }

  #later(file: SimFile): SimFile {
    const draw = this.#draw.next();
    if (draw < 0.75) return file;
    const bytes = Uint8Array.from(file.bytes);
    bytes[this.#draw.between(0, bytes.length - 1)]! ^= 1;
    // Some programs change a file and set its time back.
    return { ...file, bytes, mtimeNs: draw < 0.88 ? file.mtimeNs : this.#count++ };
  }
}

/** As much of a file handle as a put uses. */
function handleOf({ bytes, inode, mtimeNs }: SimFile): FileHandle {
  const read = (into: Uint8Array, position: number): number => {
    const piece = bytes.subarray(position, position + into.length);
    into.set(piece);
    return piece.length;
  };
  const handle = {
    async stat({ bigint = false } = {}) {
      const numbers = { size: BigInt(bytes.length), mtimeNs, ino: inode, dev: 1n };
      return { isFile: () => true, ...numbers, size: bigint ? numbers.size : bytes.length };
    },
    async readv(pieces: readonly Uint8Array[], position: number) {
      let bytesRead = 0;
      for (const piece of pieces) bytesRead += read(piece, position + bytesRead);
      return { bytesRead };
    },
    async read(into: Uint8Array, offset: number, length: number, position: number) {
      return { bytesRead: read(into.subarray(offset, offset + length), position) };
    },
  };
  return handle as unknown as FileHandle;
}
