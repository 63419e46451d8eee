import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { clientOf } from './admission/admission.ts';
import type { Exchange } from './exchange.ts';

/** Who is at the other end, as it was when the connection came: a socket that was reset does not tell any more. */
export interface Peer {
  /** An IP address, or `local` for a Unix socket. */
  readonly address: string;
  /** What limits count by. */
  readonly client: string;
}

const LOCAL: Peer = { address: 'local', client: 'local' };
const UNKNOWN: Peer = { address: 'unknown', client: 'unknown' };

export function peerOf({ remoteAddress }: Socket, kind: 'tcp' | 'unix'): Peer {
  if (kind === 'unix') return LOCAL;
  return remoteAddress === undefined ? UNKNOWN : { address: remoteAddress, client: clientOf(remoteAddress) };
}

/** @param excess it is one request more than may wait here: to be turned away. */
export type Begin = (excess: boolean) => Exchange;

interface Waiting {
  readonly request: IncomingMessage;
  readonly begin: () => Exchange;
}

/**
 * The requests of one connection. They are served one after the other, so that whoever sends many at once takes no more
 * of the service than others do; so many may wait, and one more ends the connection in its turn. All end with it.
 */
export class Connection {
  readonly peer: Peer;
  readonly #maxWaiting: number;
  readonly #waiting: Waiting[] = [];
  #current: Exchange | undefined;
  #refuse: (() => void) | undefined;
  /** Nothing more is taken. */
  #full = false;

  constructor(socket: Socket, peer: Peer, maxWaiting: number) {
    this.peer = peer;
    this.#maxWaiting = maxWaiting;
    // Node stops listening once a CONNECT has come, and what nobody listens to ends the program.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#stop();
      this.#current?.end();
    });
  }

  /** What is being served. */
  get current(): Exchange | undefined {
    return this.#current;
  }

  take(request: IncomingMessage, begin: Begin): void {
    if (this.#full) return;
    this.#full = this.#waiting.length === this.#maxWaiting;
    const excess = this.#full;
    this.#waiting.push({ request, begin: () => begin(excess) });
    if (this.#current === undefined) this.#next();
  }

  /** The peer has sent what is no request: once those before it are answered, `refuse` ends the connection. */
  fail(refuse: () => void): void {
    this.#full = true;
    this.#refuse ??= refuse;
    if (this.#current === undefined || !this.#current.request.complete) this.#next();
  }

  /** What follows on the connection will not be answered. */
  #stop(): void {
    this.#full = true;
    this.#waiting.length = 0;
  }

  #next(): void {
    const next = this.#waiting.shift();
    const refuse = this.#refuse;
    if (refuse !== undefined && !next?.request.complete) {
      this.#stop();
      this.#refuse = undefined;
      refuse();
      return;
    }
    if (next === undefined) return;
    const exchange = next.begin();
    this.#current = exchange;
    exchange.response.once('error', exchange.fault).once('close', () => {
      this.#current = undefined;
      exchange.end();
      if (exchange.last || !exchange.response.shouldKeepAlive) this.#stop();
      else this.#next();
    });
  }
}
