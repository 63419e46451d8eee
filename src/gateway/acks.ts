import { wholeBody } from '../http/body.ts';
import type { Endpoint } from '../http/handle.ts';
import { HttpProblem, tooLarge } from '../http/problem.ts';
import { sendJson } from '../http/respond.ts';
import { sequenceOf } from '../receipts/records/shape.ts';
import type { GatewayContext } from './context.ts';

const MAX_ACKS = 256;
/** Times the slow senders that there may be at once, it is what they can make a gateway hold. */
const MAX_ACKS_BYTES = 320 * 1024;
const ACK_TYPES: ReadonlySet<string> = new Set(['application/cbor-seq', 'application/cbor']);

/** `POST /receipts/acks`: acknowledgements of reads, one after the other, each answered in its place. */
export const takeAcks: Endpoint<GatewayContext> = {
  scope: 'read',
  load: 'write',
  takesBody: true,
  // An acknowledgement speaks for its signer, whoever brings it.
  inNobodysName: true,
  async run({ receipts, clock, limits }, exchange) {
    if (receipts === undefined) throw new HttpProblem(404, 'NotFound', 'this gateway keeps no receipts');
    const type = exchange.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
    if (!ACK_TYPES.has(type))
      throw new HttpProblem(415, 'UnsupportedMediaType', 'send acknowledgements as application/cbor-seq');
    const acks = sequenceOf(await wholeBody(exchange, MAX_ACKS_BYTES, clock, limits), MAX_ACKS);
    if (acks === undefined)
      throw tooLarge(MAX_ACKS_BYTES, `a body of more than ${MAX_ACKS} acknowledgements`);
    const refusals = await receipts.accept(acks);
    const results = refusals.map((reason) =>
      reason === undefined ? { accepted: true } : { accepted: false, reason },
    );
    sendJson(exchange, 200, { accepted: results.filter(({ accepted }) => accepted).length, results });
  },
};
