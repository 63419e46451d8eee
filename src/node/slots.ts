import { isHoldfastError } from '../core/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { badRequest, HttpProblem } from '../http/problem.ts';
import { headerList, sendBytes, sendEmpty, sendJson } from '../http/respond.ts';
import { evaluate, oneStrongTag } from '../http/selection.ts';
import { isSlotName, MAX_SLOT_BYTES, type SlotName, type SlotVersion } from '../providers/adapter.ts';
import type { NodeEndpoint } from './context.ts';
import { limitOf, pageOf, parameter } from './page.ts';
import { bodyOf } from './upload.ts';

function nameFrom(text: string | undefined): SlotName {
  if (text !== undefined && isSlotName(text)) return text;
  throw badRequest('a slot name has 16 to 128 lower-case hex digits');
}

/** A version as an entity tag. Escaped: an adapter may choose any text for a version. */
const tagOf = (version: SlotVersion): string => `"${encodeURIComponent(version)}"`;

/** `GET /slots/{name}`: the content, its version as the entity tag. */
export const getSlot: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run({ adapter }, exchange, [text]) {
    const slot = await adapter.readSlot(nameFrom(text), { signal: exchange.signal });
    if (slot === undefined) throw new HttpProblem(404, 'NotFound', 'the slot is not here');
    const etag = tagOf(slot.version);
    const head = { etag, 'cache-control': 'no-cache', 'content-security-policy': 'sandbox' };
    const preconditions = {
      ifMatch: exchange.header('if-match'),
      ifNoneMatch: exchange.header('if-none-match'),
    };
    const outcome = evaluate(preconditions, etag, true);
    if (outcome === 'not_modified') return sendEmpty(exchange, 304, head);
    if (outcome === 'failed')
      throw new HttpProblem(412, 'PreconditionFailed', 'the slot has another version');
    const headers = { ...head, 'content-type': 'application/octet-stream' };
    sendBytes(exchange, 200, headerList(headers), slot.bytes);
  },
};

/** `PUT /slots/{name}` with `If-Match: "version"` (204) or `If-None-Match: *` (201); 412 when another came first. */
export const putSlot: NodeEndpoint = {
  scope: 'write',
  load: 'write',
  takesBody: true,
  async run(context, exchange, [text]) {
    const name = nameFrom(text);
    const expected = expectedVersion(exchange);
    const body = await collect(bodyOf(context, exchange, MAX_SLOT_BYTES));
    try {
      const version = await context.adapter.writeSlot(name, body, expected, { signal: exchange.signal });
      sendEmpty(exchange, expected === undefined ? 201 : 204, { etag: tagOf(version) });
    } catch (error) {
      if (!isHoldfastError(error, 'Conflict')) throw error;
      throw new HttpProblem(412, 'Conflict', 'another writer changed the slot first', { cause: error });
    }
  },
};

/** `DELETE /slots/{name}?forget=true`: 204, whether or not it was there. */
export const deleteSlot: NodeEndpoint = {
  scope: 'delete',
  load: 'write',
  async run({ adapter }, exchange, [text]) {
    const forget = parameter(exchange, 'forget', /^(true)?$/) === 'true';
    await adapter.deleteSlot(nameFrom(text), { forget, signal: exchange.signal });
    sendEmpty(exchange, 204);
  },
};

/** `GET /slots?limit=&after=`: names in ascending order. */
export const listSlots: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run({ adapter }, exchange) {
    const after = parameter(exchange, 'after', /^([0-9a-f]{16,128})?$/);
    const limit = limitOf(exchange);
    const from = after === '' ? {} : { after };
    const listing = adapter.listSlots({ ...from, limit: limit + 1, signal: exchange.signal });
    const { items, next } = await pageOf(listing, String, limit);
    sendJson(exchange, 200, { names: items, ...(next === undefined ? {} : { next }) });
  },
};

/** @throws HttpProblem 428 without a precondition: a blind write would undo another's. */
function expectedVersion(exchange: Exchange): SlotVersion | undefined {
  const [ifMatch, ifNoneMatch] = [exchange.header('if-match'), exchange.header('if-none-match')];
  if (ifMatch === undefined && ifNoneMatch?.trim() === '*') return undefined;
  if (ifMatch !== undefined && ifNoneMatch === undefined) {
    const tag = oneStrongTag(ifMatch);
    if (tag !== undefined) return decode(tag);
  }
  throw new HttpProblem(
    428,
    'PreconditionRequired',
    'a slot is written with If-Match and one version, or with If-None-Match: *',
  );
}

function decode(tag: string): SlotVersion {
  try {
    return decodeURIComponent(tag);
  } catch {
    return tag;
  }
}

async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece.slice());
  return new Uint8Array(Buffer.concat(pieces));
}
