import type { IncomingMessage, ServerResponse } from 'node:http';
import { HoldfastError } from '../core/errors.ts';
import { clientOf } from './admission/admission.ts';
import type { Plane, Principal } from './auth/principal.ts';
import { NOBODY } from './auth/principal.ts';
import type { Target } from './message/target.ts';

/** One request and its answer, from the header to the last byte. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly plane: Plane;
  readonly corrId: string;
  readonly startMs: number;
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
  #stop: AbortController | undefined;
  #expectsContinue: boolean;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: {
      readonly plane: Plane;
      readonly corrId: string;
      readonly startMs: number;
      readonly expectsContinue: boolean;
    },
  ) {
    this.request = request;
    this.response = response;
    this.plane = options.plane;
    this.corrId = options.corrId;
    this.startMs = options.startMs;
    this.#expectsContinue = options.expectsContinue;
  }

  get client(): string {
    return clientOf(this.request.socket.remoteAddress);
  }

  /** Fires when the client has gone. Made when it is first asked for: most answers are quick. */
  get signal(): AbortSignal {
    if (this.#stop === undefined) {
      const stop = new AbortController();
      this.#stop = stop;
      const gone = (): void => stop.abort(new HoldfastError('Aborted', 'the client has gone'));
      if (this.response.destroyed || this.response.closed) gone();
      else this.response.once('close', gone);
    }
    return this.#stop.signal;
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
