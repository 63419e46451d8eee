import type { Exchange } from '../../http/exchange.ts';
import { sendJson } from '../../http/message/respond.ts';
import type { NodeContext, NodeEndpoint } from '../context.ts';
import { limitOf, type Page, pageOf, parameter } from './page.ts';

const HEADS: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

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
  return pageOf(sourcesOf(context, prefix, after, exchange.signal), after, limit);
}

/** The two first digits part a listing into runs that follow each other, so a page need not see them all. */
function* sourcesOf(
  { adapter }: NodeContext,
  prefix: string,
  after: string,
  signal: AbortSignal,
): Generator<() => AsyncIterable<string>> {
  const from = after.slice(3, 5);
  const heads = prefix.length >= 2 ? [prefix] : HEADS.filter((head) => head.startsWith(prefix));
  for (const head of heads) {
    if (head.slice(0, 2) >= from) yield () => adapter.list({ prefixHex: head, signal });
  }
}
