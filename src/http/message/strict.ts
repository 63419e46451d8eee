import type { IncomingMessage } from 'node:http';
import { badRequest, HttpProblem } from './problem.ts';

/** Fields of which a second one would let two readers of the request disagree about it. */
const ONCE: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'content-length',
  'content-type',
  'content-encoding',
  'expect',
  'if-range',
  'range',
  'transfer-encoding',
]);

/** As Node looks for it. */
const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i;

/** Node counts them too if it is let, and then leaves out those beyond. */
const MAX_HEADERS = 128;

/**
 * What Node's strict parser leaves to us. It already refuses a length beside a transfer coding, unequal or repeated
 * lengths, bare line feeds, folded lines, NUL, and space before a colon.
 * @throws HttpProblem 400 or 505; the connection is to be closed.
 */
export function checkStrict(request: IncomingMessage): void {
  const { httpVersion, headers, rawHeaders } = request;
  if (rawHeaders.length > 2 * MAX_HEADERS) throw badRequest(`at most ${MAX_HEADERS} headers are taken`);
  if (httpVersion !== '1.1' && httpVersion !== '1.0') {
    throw new HttpProblem(505, 'VersionNotSupported', 'HTTP/1.1 is spoken here', { close: true });
  }
  if (httpVersion === '1.1' && headers.host === undefined) throw badRequest('a Host header is required');
  const coding = headers['transfer-encoding'];
  if (coding !== undefined) {
    if (httpVersion === '1.0') throw badRequest('HTTP/1.0 has no transfer codings');
    if (coding.toLowerCase() !== 'chunked') throw badRequest('chunked is the only transfer coding taken');
  }
  if (headers.expect !== undefined && !CONTINUE.test(headers.expect)) {
    throw badRequest('100-continue is all that can be expected here');
  }
  let seen: Set<string> | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (!ONCE.has(name)) continue;
    seen ??= new Set();
    if (seen.has(name)) throw badRequest(`the ${name} header is given twice`);
    seen.add(name);
  }
}
