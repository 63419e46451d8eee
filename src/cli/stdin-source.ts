import { fstatSync } from 'node:fs';
import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { abortable } from '../core/abort.ts';
import { HoldfastError } from '../core/errors.ts';
import type { ByteSource, ObjectInput } from '../pipeline/source.ts';
import type { Io } from './io.ts';

const STDIN = 0;
const BUFFER_BYTES = 256 * 1024;

/**
 * Standard input as a source. A pipe is read into one buffer again and again; a stream would leave one per read.
 * @throws HoldfastError `NotFound` (`source_unreadable`) for a folder, whose stream would just be empty.
 */
export function stdinSource(io: Io): ObjectInput {
  const stat = fstatSync(STDIN);
  if (stat.isDirectory()) {
    const message = 'cannot read standard input: it is a folder';
    throw new HoldfastError('NotFound', message, { code: 'source_unreadable' });
  }
  return stat.isFIFO() || stat.isSocket() ? new PipeSource(STDIN) : io.stdin;
}

class PipeSource implements ByteSource {
  readonly neverBlocks = false;
  readonly size = undefined;
  readonly #socket: Socket;
  #left: Uint8Array = new Uint8Array(0);
  #ended = false;
  #failure: Error | undefined;
  #wake = (): void => {};

  constructor(fd: number) {
    const arrived = (length: number, buffer: Uint8Array): boolean => {
      this.#left = buffer.subarray(0, length);
      this.#wake();
      return false; // paused until these bytes are used: the next ones go to the same place
    };
    const onread: OnReadOpts = { buffer: new Uint8Array(BUFFER_BYTES), callback: arrived };
    // Node's types know `onread` for connections only.
    const options: SocketConstructorOpts & { onread: OnReadOpts } = {
      fd,
      readable: true,
      writable: false,
      onread,
    };
    this.#socket = new Socket(options);
    this.#socket.on('end', () => this.#end());
    this.#socket.on('close', () => this.#end());
    this.#socket.on('error', (error) => this.#end(error));
  }

  async read(into: Uint8Array, signal?: AbortSignal): Promise<number> {
    let filled = 0;
    while (filled < into.length) {
      if (this.#left.length === 0) {
        if (this.#failure !== undefined) throw this.#failure;
        if (this.#ended) break;
        await abortable(this.#more(), signal, 'reading the source');
        continue;
      }
      const take = Math.min(this.#left.length, into.length - filled);
      into.set(this.#left.subarray(0, take), filled);
      this.#left = this.#left.subarray(take);
      filled += take;
    }
    return filled;
  }

  async close(): Promise<void> {
    this.#socket.destroy();
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#socket.resume();
    });
  }

  #end(failure?: Error): void {
    this.#ended = true;
    this.#failure ??= failure;
    this.#wake();
  }
}
