import type { BlobAddress } from '../core/address.ts';
import { isHoldfastError } from '../core/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import { HttpProblem } from '../http/problem.ts';
import { sendRepresentation } from '../http/representation.ts';
import { addressFrom, etagOf } from '../http/request.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import { evaluate } from '../http/selection.ts';
import type { BlobEntry } from '../providers/adapter.ts';
import type { NodeContext, NodeEndpoint } from './context.ts';
import { limitOf, type Page, pageOf, parameter } from './page.ts';
import { stateOf } from './rot.ts';
import { type Uploaded, upload } from './upload.ts';

/** Private: an answer that needed a token is not for shared caches. */
const CACHE_CONTROL = 'private, max-age=31536000, immutable';

/** `GET` and `HEAD /o/{address}`: 200, 206, 304, 412, 416, 404; 500 for bytes that are not what they should be. */
export const getBlob: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run({ reader, clock, limits }, exchange, [text]) {
    const address = addressFrom(text);
    const blob = await reader.open(address, exchange);
    const representation = {
      etag: etagOf(address),
      size: blob.size,
      bytes: blob.bytes,
      release: blob.release,
      pin: blob.pin,
      read: blob.read,
      contentType: 'application/octet-stream',
      cacheControl: CACHE_CONTROL,
    };
    await sendRepresentation(exchange, representation, clock, limits);
  },
};

/**
 * `PUT /o/{address}?replace=`: 201 new, 200 there already, 409 other bytes, 412, 413, 507. With `replace=true` the client
 * knows that what is there is wrong, and the node takes its word: memory may hold right bytes of a file that has rotted.
 */
export const putBlob: NodeEndpoint = {
  scope: 'write',
  load: 'write',
  takesBody: true,
  async run(context, exchange, [text]) {
    const address = addressFrom(text);
    const asked = parameter(exchange, 'replace', /^(true|false)?$/) === 'true';
    const etag = etagOf(address);
    const preconditions = {
      ifMatch: exchange.header('if-match'),
      ifNoneMatch: exchange.header('if-none-match'),
    };
    const state = asked ? 'rotten' : await stateOf(context.reader, address, exchange);
    const present = state === 'good';
    if (evaluate(preconditions, present ? etag : undefined, false) === 'failed') {
      throw new HttpProblem(412, 'PreconditionFailed', present ? 'the blob is here' : 'the blob is not here');
    }
    const replace = state === 'rotten';
    const take = (): Promise<Uploaded> => upload(context, exchange, { address, replace });
    const { existed } = await (replace ? context.rot.replace(address, take) : take());
    sendEmpty(exchange, existed && (asked || !replace) ? 200 : 201, { etag, location: `/o/${address}` });
  },
};

/** `POST /o`, and `PUT` or `POST /put` for tools that know no more: computes the address. 201, or 200 when the blob was there; `Location` either way. */
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
 * Checks a blob that was there already: an adapter takes it for the same by its length alone. A rotten one goes, and the
 * client sends the bytes once more: they passed through and were not kept.
 */
async function checkKept(context: NodeContext, exchange: Exchange, address: BlobAddress): Promise<void> {
  const { reader, rot } = context;
  const state = (): Promise<string> => stateOf(reader, address, exchange);
  if ((await state()) === 'good') return;
  await rot.remove(address, async () => (await state()) === 'rotten', exchange);
  throw new HttpProblem(503, 'Unavailable', 'the copy kept here is damaged: send the blob again', {
    headers: { 'retry-after': '1' },
  });
}

/** `DELETE /o/{address}`: 204, whether or not it was there. */
export const deleteBlob: NodeEndpoint = {
  scope: 'delete',
  load: 'write',
  async run({ adapter, reader }, exchange, [text]) {
    const address = addressFrom(text);
    const { signal } = exchange;
    const preconditions = {
      ifMatch: exchange.header('if-match'),
      ifNoneMatch: exchange.header('if-none-match'),
    };
    if (preconditions.ifMatch !== undefined || preconditions.ifNoneMatch !== undefined) {
      const present = await adapter.exists(address, { signal });
      if (evaluate(preconditions, present ? etagOf(address) : undefined, false) === 'failed') {
        throw new HttpProblem(
          412,
          'PreconditionFailed',
          present ? 'the blob is here' : 'the blob is not here',
        );
      }
    }
    await adapter.delete(address, { signal });
    reader.forget(address);
    sendEmpty(exchange, 204);
  },
};

/** `GET /o?prefix=&limit=&after=&details=`: addresses in ascending order, and with `details=true` what is known of each. */
export const listBlobs: NodeEndpoint = {
  scope: 'read',
  load: 'read',
  async run(context, exchange) {
    const details = parameter(exchange, 'details', /^(true|false)?$/) === 'true';
    const { items, next } = await pageOfBlobs(context, exchange, limitOf(exchange), details);
    sendJson(exchange, 200, {
      addresses: items.map(({ address }) => address),
      ...(details ? { details: items.map(detailsOf) } : {}),
      ...(next === undefined ? {} : { next }),
    });
  },
};

const detailsOf = ({ size, modifiedUnixMs, pinned }: BlobEntry): Record<string, unknown> => ({
  size,
  modified_unix_ms: modifiedUnixMs,
  pinned,
});

/** The page of blobs that a request's parameters ask for. */
function pageOfBlobs(
  context: NodeContext,
  exchange: Exchange,
  limit: number,
  details: boolean,
): Promise<Page<BlobEntry>> {
  const prefix = parameter(exchange, 'prefix', /^[0-9a-f]{0,64}$/);
  const after = parameter(exchange, 'after', /^(b3:[0-9a-f]{64})?$/);
  const from = after === '' ? {} : { after: after as BlobAddress };
  const listing = { prefixHex: prefix, ...from, limit: limit + 1, details, signal: exchange.signal };
  return pageOf(context.adapter.list(listing), ({ address }) => address, limit);
}

interface ScrubReport {
  readonly checked: number;
  readonly checkedBytes: number;
  /** Blobs whose bytes do not have their address. */
  readonly damaged: readonly BlobAddress[];
  /** Those of them that were removed, so that their owners see them missing and put them back. */
  readonly removed: readonly BlobAddress[];
  /** Give this as `after` to go on. */
  readonly next?: string;
}

/**
 * `POST /admin/repair?prefix=&limit=&after=&remove=`: reads a page of blobs from the disk, whatever the caches hold, and
 * reports those that rotted. A node over one folder has no other copy; with `remove=true` it makes room for one.
 */
export const repair: NodeEndpoint = {
  scope: 'admin',
  load: 'write',
  async run(context, exchange) {
    const remove = parameter(exchange, 'remove', /^(true|false)?$/) === 'true';
    const { items, next } = await pageOfBlobs(context, exchange, limitOf(exchange), false);
    const addresses = items.map(({ address }) => address);
    const report = await scrub(context, addresses, remove, exchange.signal);
    sendJson(exchange, 200, { ...report, ...(next === undefined ? {} : { next }) });
  },
};

async function scrub(
  { reader, rot }: NodeContext,
  addresses: readonly BlobAddress[],
  remove: boolean,
  signal: AbortSignal,
): Promise<ScrubReport> {
  const damaged: BlobAddress[] = [];
  const removed: BlobAddress[] = [];
  let checkedBytes = 0;
  const isRotten = async (address: BlobAddress): Promise<boolean> => {
    try {
      checkedBytes += await reader.scrub(address, signal);
      return false;
    } catch (error) {
      if (isHoldfastError(error, 'NotFound')) return false;
      if (!isHoldfastError(error, 'HashMismatch') && !isHoldfastError(error, 'Corrupt')) throw error;
      return true;
    }
  };
  for (const address of addresses) {
    if (!(await isRotten(address))) continue;
    damaged.push(address);
    if (!remove) continue;
    if (await rot.remove(address, () => isRotten(address), { signal })) removed.push(address);
  }
  return { checked: addresses.length, checkedBytes, damaged, removed };
}
