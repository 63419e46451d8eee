import type { BlobAddress } from '../../core/address.ts';
import type { Exchange } from '../../http/exchange.ts';
import { sendJson } from '../../http/message/respond.ts';
import type { NodeContext, NodeEndpoint } from '../context.ts';
import { limitOf, type Page, pageOf, parameter } from './page.ts';

/** `GET /o?prefix=&limit=&after=`: addresses in ascending order. */
export const listBlobs: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run(context, exchange) {
    const { names, next } = await pageOfBlobs(context, exchange, limitOf(exchange));
    sendJson(exchange, 200, { addresses: names, ...(next === undefined ? {} : { next }) });
  },
};

/** The page of addresses that a request's parameters ask for. */
export function pageOfBlobs(context: NodeContext, exchange: Exchange, limit: number): Promise<Page> {
  const prefix = parameter(exchange, 'prefix', /^[0-9a-f]{0,64}$/);
  const after = parameter(exchange, 'after', /^(b3:[0-9a-f]{64})?$/);
  const from = after === '' ? {} : { after: after as BlobAddress };
  const listing = { prefixHex: prefix, ...from, limit: limit + 1, signal: exchange.signal };
  return pageOf(context.adapter.list(listing), limit);
}
