import type { BlobAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { checkStatedLength, incomingBody, statedLength } from '../../http/body/incoming.ts';
import type { Exchange } from '../../http/exchange.ts';
import { createPatience } from '../../http/message/patience.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { MAX_BLOB_BYTES } from '../../providers/adapter.ts';
import { inflateBody } from '../body/inflate.ts';
import type { NodeContext } from '../context.ts';

export interface Uploaded {
  readonly address: BlobAddress;
  readonly size: number;
  readonly existed: boolean;
}

/** Longest body this client may send, inflated. */
export function bodyCap({ limits }: NodeContext, { principal }: Exchange): number {
  const cap = principal.authenticated ? limits.maxBodyBytes : limits.maxForeignBodyBytes;
  return Math.min(cap, MAX_BLOB_BYTES);
}

/** The body of a request as it was before its content coding. @throws HttpProblem 413, 415, 400, 408 */
export function bodyOf(
  context: NodeContext,
  exchange: Exchange,
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  const { request } = exchange;
  const coding = (exchange.header('content-encoding') ?? 'identity').trim().toLowerCase();
  checkStatedLength(request, maxBytes);
  const wire = (): AsyncIterable<Uint8Array> => {
    exchange.invite();
    const onBytes = (count: number): void => {
      exchange.bytesIn += count;
    };
    return incomingBody(request, {
      maxBytes,
      patience: createPatience(context.clock, context.limits),
      onBytes,
    });
  };
  if (coding === 'identity') return wire();
  const inflate = coding === 'gzip' || coding === 'zstd' ? context.inflaters[coding] : undefined;
  if (inflate === undefined) {
    throw new HttpProblem(415, 'UnsupportedMediaType', 'content codings taken here are gzip and zstd', {
      headers: { 'accept-encoding': 'gzip, zstd' },
    });
  }
  return inflateBody(inflate, wire(), { maxBytes, statedBytes: statedLength(request) });
}

/** Stores the body as a blob. @throws HttpProblem 409 when it is not the one of the address, 507 when there is no room */
export async function upload(
  context: NodeContext,
  exchange: Exchange,
  address: BlobAddress | undefined,
): Promise<Uploaded> {
  const { adapter, readiness, limits } = context;
  const free = readiness.freeBytes();
  if (free !== undefined && free < limits.minFreeBytes) {
    throw new HttpProblem(507, 'QuotaExceeded', 'this node has no room for more');
  }
  const maxBytes = bodyCap(context, exchange);
  const body = bodyOf(context, exchange, maxBytes);
  try {
    return await adapter.storeStream(address, body, { maxBytes, signal: exchange.signal });
  } catch (error) {
    if (!isHoldfastError(error, 'HashMismatch')) throw error;
    throw new HttpProblem(409, 'HashMismatch', 'the body does not have the address it was sent to', {
      cause: error,
    });
  }
}
