import type { BlobAddress } from '../../core/address.ts';
import type { Exchange } from '../../http/exchange.ts';
import { etagOf } from '../../http/message/address.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { sendJson } from '../../http/message/respond.ts';
import type { NodeContext, NodeEndpoint } from '../context.ts';
import { stateOf } from '../rotten.ts';
import { upload } from './upload.ts';

/** `POST /o`: computes the address. 201, or 200 when the blob was there; `Location` either way. */
export const postBlob: NodeEndpoint = {
  scope: 'write',
  load: 'write',
  takesBody: true,
  async run(context, exchange) {
    const { address, size, existed } = await upload(context, exchange, {});
    if (existed) await checkKept(context, exchange, address);
    const headers = { location: `/o/${address}`, etag: etagOf(address) };
    sendJson(exchange, existed ? 200 : 201, { address, size }, headers);
  },
};

/**
 * What was there counts as the same blob by its length alone. Where it rotted, it goes, and the bytes are to be sent
 * once more: they passed through, and were not kept.
 */
async function checkKept(context: NodeContext, exchange: Exchange, address: BlobAddress): Promise<void> {
  if ((await stateOf(context, address, exchange)) === 'good') return;
  await context.makeWay(address, exchange);
  throw new HttpProblem(503, 'Unavailable', 'what was kept of this blob is damaged: send it again', {
    headers: { 'retry-after': '1' },
  });
}
