import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { HoldfastError } from '../core/errors.ts';
import { NOBODY, type Plane, type Principal } from './auth.ts';
import type { Target } from './request.ts';
import type { SlowWatch } from './slow-peers.ts';

export type Headers = Readonly<Record<string, string | number>>;
/** The same as names and values in turn: the form that Node takes fastest. */
export type HeaderList = readonly (string | number)[];

/** A request as it came. */
export interface Arrival {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly peer: Peer;
  readonly expectsContinue: boolean;
  /** It is one request more than may wait on its connection. */
  readonly excess: boolean;
}

/** What all exchanges of a listener share. */
export interface ExchangePlace {
  readonly plane: Plane;
  readonly slow: SlowWatch;
  readonly clock: Clock;
  /** Is told of what failed where nobody waits for it. Never throws. */
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
  /** It is one request more than may wait on its connection. */
  readonly excess: boolean;
  /** Pattern of the route, for metrics. */
  route = 'none';
  target: Target | undefined;
  principal: Principal = NOBODY;
  bytesIn = 0;
  bytesOut = 0;
  /** Whoever ends the connection before the answer is out sets this: a destroyed socket looks finished. */
  cut = false;
  /** True while the client waits for us, not we for the client. */
  working = true;
  /** Gives back the place among the requests being served, once there is one. Idempotent. */
  leave: () => void = () => {};
  /** The connection ends with this answer. */
  last = false;
  #stop: AbortController | undefined;
  #ends: (() => void)[] = [];
  #over = false;
  #expectsContinue: boolean;
  /** See `ExchangePlace`. */
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

  /** Fires when the client has gone. Made at the first use: most answers are quick and need none. */
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

  /** Calls `work` once the answer is out or the connection gone; at once if that has happened. */
  atEnd(work: () => void): void {
    if (this.#over) work();
    else this.#ends.push(work);
  }

  /** The answer is out, or never will be. Calls all work; one that fails keeps none from running. Idempotent. */
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

  /** Begins the answer. Nothing else writes heads, so fields that all of them have are added here. */
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

  /** True when nobody has told a waiting client to send its body. */
  get uninvited(): boolean {
    return this.#expectsContinue;
  }
}

/** The other end, as it was when the connection came: a socket that was reset does not tell any more. */
export interface Peer {
  /** An IP address, or `local` for a Unix socket. */
  readonly address: string;
  /** The name that limits count by. */
  readonly client: string;
}

const LOCAL: Peer = { address: 'local', client: 'local' };
const UNKNOWN: Peer = { address: 'unknown', client: 'unknown' };

export function peerOf({ remoteAddress }: Socket, kind: 'tcp' | 'unix'): Peer {
  if (kind === 'unix') return LOCAL;
  return remoteAddress === undefined ? UNKNOWN : { address: remoteAddress, client: clientOf(remoteAddress) };
}

/** The part of an address that one client holds: by itself it can have 2^64 addresses of IPv6. */
function clientOf(remoteAddress: string): string {
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress;
  return address.includes(':') ? prefix64(address) : address;
}

function prefix64(address: string): string {
  const [head = '', tail] = address.split('%')[0]!.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => '0');
  return `${[...front, ...zeros, ...back].slice(0, 4).join(':')}::/64`;
}

/** @param excess tells that it is one request more than may wait, to be turned away. */
type Begin = (excess: boolean) => Exchange;

interface Waiting {
  readonly request: IncomingMessage;
  readonly begin: () => Exchange;
}

/**
 * The requests of one connection. It serves them one after the other, so that a client that sends many at once takes no
 * more of the service than others do. A bounded number may wait; one more ends the connection in its turn.
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
    // Node stops listening once a CONNECT has come, and an error without a listener ends the program.
    socket.on('error', () => socket.destroy());
    socket.once('close', () => {
      this.#stop();
      this.#current?.end();
    });
  }

  /** The exchange that is being served. */
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

  /** The peer has sent something that is no request. `refuse` ends the connection once those before it are answered. */
  fail(refuse: () => void): void {
    this.#full = true;
    this.#refuse ??= refuse;
    if (this.#current === undefined || !this.#current.request.complete) this.#next();
  }

  /** Nothing that follows on the connection will be answered. */
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
