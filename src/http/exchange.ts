import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { clientOf } from './admission.ts';
import { NOBODY, type Plane, type Principal } from './auth.ts';
import type { Target } from './request.ts';
import type { SlowWatch } from './slow-peers.ts';

export type Headers = Readonly<Record<string, string | number>>;
/** The same as names and values in turn, which is what Node takes fastest. */
export type HeaderList = readonly (string | number)[];

/** A request as it came. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly peer: Peer;
  readonly expectsContinue: boolean;
  /** One more than may wait on its connection. */
  readonly excess: boolean;
}

/** What all exchanges of a listener share. */
export interface ExchangePlace {
  readonly plane: Plane;
  readonly slow: SlowWatch;
  readonly clock: Clock;
  /** Told of what failed where nobody waits for it. Never throws. */
  readonly fault: (error: unknown) => void;
}

/** One request and its answer, from the header to the last byte. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly plane: Plane;
  readonly peer: Peer;
  readonly corrId: string;
  readonly startMs: number;
  readonly slow: SlowWatch;
  readonly clock: Clock;
  /** One request more than may wait on its connection. */
  readonly excess: boolean;
  /** Pattern of the route, for metrics. */
  route = 'none';
  target: Target | undefined;
  principal: Principal = NOBODY;
  bytesIn = 0;
  bytesOut = 0;
  /** Set by whoever ends the connection before its answer is out; a socket that is destroyed looks finished. */
  cut = false;
  /** True while it is the node that the client waits for. */
  working = true;
  /** Gives back the place among those being served; set once there is one. May be called again. */
  leave: () => void = () => {};
  /** The connection ends with this answer. */
  last = false;
  #stop: AbortController | undefined;
  #ends: (() => void)[] = [];
  #over = false;
  #expectsContinue: boolean;
  /** Tells of what failed where nobody waits for it. Never throws. */
  readonly fault: (error: unknown) => void;

  constructor(
    { request, response, peer, expectsContinue, excess }: Arrival,
    { plane, slow, clock, fault }: ExchangePlace,
    corrId: string,
    startMs: number,
  ) {
    this.request = request;
    this.response = response;
    this.plane = plane;
    this.clock = clock;
    this.peer = peer;
    this.excess = excess;
    this.fault = fault;
    this.corrId = corrId;
    this.startMs = startMs;
    this.#expectsContinue = expectsContinue;
    this.slow = slow;
  }

  /** Fires when the client has gone. Made when it is first asked for: most answers are quick. */
  get signal(): AbortSignal {
    if (this.#stop === undefined) {
      const stop = new AbortController();
      this.#stop = stop;
      this.atEnd(() => {
        if (this.response.writableFinished && !this.cut) return;
        stop.abort(new HoldfastError('Aborted', 'the client has gone'));
      });
    }
    return this.#stop.signal;
  }

  /** Calls back once the answer is out or the connection gone; at once if it is. */
  atEnd(work: () => void): void {
    if (this.#over) work();
    else this.#ends.push(work);
  }

  /** The answer is out, or never will be. Idempotent. What fails here keeps nothing else from ending. */
  end(): void {
    this.#over = true;
    const ends = this.#ends;
    this.#ends = [];
    for (const work of ends) {
      try {
        work();
      } catch (error) {
        this.fault(error);
      }
    }
  }

  /** Begins the answer. Nothing else writes heads: whatever all of them have is added here. */
  writeHead(status: number, headers: HeaderList): void {
    const all = ['x-corr-id', this.corrId, 'x-content-type-options', 'nosniff', ...headers];
    if (this.last) all.push('connection', 'close');
    this.response.writeHead(status, all as string[]);
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  /** Tells a client that has waited for it to send its body. */
  invite(): void {
    if (this.#expectsContinue) this.response.writeContinue();
    this.#expectsContinue = false;
  }

  /** Whether the client was never told to send its body. */
  get uninvited(): boolean {
    return this.#expectsContinue;
  }
}

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
type Begin = (excess: boolean) => Exchange;

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
