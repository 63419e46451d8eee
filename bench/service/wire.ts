import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface Asked {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** The sender rests for so long in the middle of the body. */
  readonly pauseMs?: number;
}

export interface Answered {
  /** 0: the connection ended before the answer did. */
  readonly status: number;
  readonly bytes: number;
  /** To the first byte of the body, or of the head where there is none. */
  readonly startMs: number;
  readonly ms: number;
}

/** More than a server may take for one answer here. */
const ANSWER_MS = 30_000;

/**
 * One connection that is kept, and one request on it at a time. It costs a tenth of what node:http costs as a client, which
 * would hide what the server costs.
 */
export class Wire {
  readonly #port: number;
  #socket: Socket | undefined;
  #settle: (status: number) => void = () => {};
  #head: Buffer | undefined = Buffer.alloc(0);
  #status = 0;
  #left = 0;
  #bytes = 0;
  #startMs = 0;
  #bodiless = false;
  #closes = false;

  constructor(port: number) {
    this.#port = port;
  }

  async ask({ method, path, headers = {}, body, pauseMs }: Asked): Promise<Answered> {
    const socket = this.#socket ?? (await this.#open());
    const lines = [`${method} ${path} HTTP/1.1`, `Host: 127.0.0.1:${this.#port}`];
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
    this.#head = Buffer.alloc(0);
    this.#bytes = 0;
    this.#bodiless = method === 'HEAD';
    const began = performance.now();
    const answered = new Promise<number>((resolve) => {
      this.#settle = resolve;
    });
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
    if (body !== undefined) await send(socket, body, pauseMs);
    const status = await answered;
    if (this.#closes || status === 0) this.close();
    const ended = performance.now();
    return { status, bytes: this.#bytes, startMs: this.#startMs - began, ms: ended - began };
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #open(): Promise<Socket> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', noDelay: true });
    socket.on('data', (piece: Buffer) => this.#take(piece));
    socket.on('error', () => {});
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      this.#settle(0);
    });
    await once(socket, 'connect');
    this.#socket = socket;
    return socket;
  }

  #take(piece: Buffer): void {
    let rest = piece;
    if (this.#head !== undefined) {
      const all = this.#head.length === 0 ? piece : Buffer.concat([this.#head, piece]);
      const end = all.indexOf('\r\n\r\n');
      if (end < 0) {
        this.#head = all;
        return;
      }
      this.#read(all.toString('latin1', 0, end));
      this.#head = undefined;
      this.#startMs = performance.now();
      rest = all.subarray(end + 4);
    }
    this.#bytes += rest.length;
    this.#left -= rest.length;
    if (this.#left <= 0) this.#settle(this.#status);
  }

  #read(head: string): void {
    this.#status = Number(head.slice(9, 12));
    this.#closes = /\r\nconnection: close/i.test(head);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
    this.#left = this.#bodiless || this.#status === 204 || this.#status === 304 ? 0 : length;
  }
}

async function send(socket: Socket, body: Uint8Array, pauseMs: number | undefined): Promise<void> {
  if (pauseMs === undefined) {
    socket.write(body);
    return;
  }
  const half = body.length >> 1;
  socket.write(body.subarray(0, half));
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  socket.write(body.subarray(half));
}
