import type { Socket } from 'node:net';
import type { Rejection } from './rejections.ts';

/** The answer to what never became a request. */
export interface Refusal {
  /** Stable, for metrics. */
  readonly reason: Rejection;
  readonly status: string;
  readonly name: string;
  readonly message: string;
  readonly headers?: readonly string[];
  /** There is nobody to tell. */
  readonly silent?: boolean;
}

const MALFORMED: Refusal = {
  reason: 'malformed',
  status: '400 Bad Request',
  name: 'BadRequest',
  message: 'this is not a well-formed request',
};
const LATE: Refusal = {
  reason: 'request_timeout',
  status: '408 Request Timeout',
  name: 'Timeout',
  message: 'the request took too long to arrive',
};
export const TOO_MANY_CONNECTIONS: Refusal = {
  reason: 'client_connections',
  status: '503 Service Unavailable',
  name: 'Unavailable',
  message: 'this client has as many connections as one may have here',
  headers: ['retry-after: 1'],
};

export function refusalOf(error: NodeJS.ErrnoException): Refusal {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return LATE;
  return error.code === 'ECONNRESET' ? { ...MALFORMED, silent: true } : MALFORMED;
}

/** Answers in raw bytes and ends the connection. */
export function sendRefusal(socket: Socket, refusal: Refusal, corrId: string): void {
  if (refusal.silent || !socket.writable) {
    socket.destroy();
    return;
  }
  const body = `${JSON.stringify({ error: refusal.name, message: refusal.message, corr_id: corrId })}\n`;
  const head = [
    `HTTP/1.1 ${refusal.status}`,
    'content-type: application/json',
    'cache-control: no-store',
    'x-content-type-options: nosniff',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-corr-id: ${corrId}`,
    ...(refusal.headers ?? []),
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}
