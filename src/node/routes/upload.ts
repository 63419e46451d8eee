import { addressOf, type BlobAddress } from '../../core/address.ts';
import type { BufferPool } from '../../core/buffer-pool.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import { batchBody } from '../../http/body/batched.ts';
import { gatherBody } from '../../http/body/gathered.ts';
import { checkStatedLength, incomingBody, statedLength } from '../../http/body/incoming.ts';
import type { Exchange } from '../../http/exchange.ts';
import { createPatience } from '../../http/message/patience.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { MAX_BLOB_BYTES } from '../../providers/adapter.ts';
import { inflateBody } from '../body/inflate.ts';
import type { NodeContext } from '../context.ts';

/** Of each of the two buffers that a long body goes through. */
const BATCH_BYTES = 1024 * 1024;

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
  const { readiness, limits } = context;
  const free = readiness.freeBytes();
  if (free !== undefined && free < limits.minFreeBytes) {
    throw new HttpProblem(507, 'QuotaExceeded', 'this node has no room for more');
  }
  try {
    return await (storedFromMemory(context, exchange, address) ??
      batched(context, exchange, address) ??
      streamed(context, exchange, address));
  } catch (error) {
    if (!isHoldfastError(error, 'HashMismatch')) throw error;
    throw new HttpProblem(409, 'HashMismatch', 'the body does not have the address it was sent to', {
      cause: error,
    });
  }
}

function streamed(
  context: NodeContext,
  exchange: Exchange,
  address: BlobAddress | undefined,
): Promise<Uploaded> {
  const maxBytes = bodyCap(context, exchange);
  const body = bodyOf(context, exchange, maxBytes);
  return context.adapter.storeStream(address, body, { maxBytes, signal: exchange.signal });
}

/** A long body goes through two buffers. Undefined when it is coded, or there is no memory to spare for it. */
function batched(
  context: NodeContext,
  exchange: Exchange,
  address: BlobAddress | undefined,
): Promise<Uploaded> | undefined {
  const { request } = exchange;
  const { uploadMemory, limits } = context;
  const short = (statedLength(request) ?? Number.POSITIVE_INFINITY) <= limits.uploadBodyBytes;
  if (short || request.headers['content-encoding'] !== undefined) return undefined;
  const maxBytes = bodyCap(context, exchange);
  checkStatedLength(request, maxBytes);
  const memory = takeTwo(uploadMemory, BATCH_BYTES);
  return memory && storedInBatches(context, exchange, address, memory, maxBytes);
}

async function storedInBatches(
  { adapter, clock, limits, uploadMemory }: NodeContext,
  exchange: Exchange,
  address: BlobAddress | undefined,
  memory: readonly Uint8Array[],
  maxBytes: number,
): Promise<Uploaded> {
  const body = batchBody(exchange, memory, { maxBytes, clock, patience: limits });
  let stillRead: Uint8Array | undefined;
  try {
    return await adapter.storeStream(address, body, { maxBytes, signal: exchange.signal });
  } catch (error) {
    // An abort may settle it while a write still reads that piece; when no piece is out, nothing reads any.
    stillRead = body.lent;
    throw error;
  } finally {
    body.stop();
    for (const buffer of memory) {
      if (buffer === stillRead) uploadMemory.forget(buffer);
      else uploadMemory.give(buffer);
    }
  }
}

function takeTwo(pool: BufferPool, size: number): readonly Uint8Array[] | undefined {
  const first = pool.take(size);
  const second = first && pool.take(size);
  if (first === undefined) return undefined;
  if (second !== undefined) return [first, second];
  pool.give(first);
  return undefined;
}

/** A short body is taken whole and stored at once. Undefined when it is none, or there is no memory to spare for it. */
function storedFromMemory(
  context: NodeContext,
  exchange: Exchange,
  address: BlobAddress | undefined,
): Promise<Uploaded> | undefined {
  const { request } = exchange;
  const { uploadMemory, limits } = context;
  const size = statedLength(request);
  if (size === undefined || request.headers['content-encoding'] !== undefined) return undefined;
  checkStatedLength(request, bodyCap(context, exchange));
  const buffer = size > limits.uploadBodyBytes ? undefined : uploadMemory.take(size);
  if (buffer === undefined) return undefined;
  return gathered(context, exchange, address, buffer.subarray(0, size)).finally(() =>
    uploadMemory.give(buffer),
  );
}

async function gathered(
  { adapter, blake3, clock, limits }: NodeContext,
  exchange: Exchange,
  address: BlobAddress | undefined,
  body: Uint8Array,
): Promise<Uploaded> {
  await gatherBody(exchange, body, { clock, patience: limits });
  const computed = addressOf(blake3.hash(body));
  if (address !== undefined && address !== computed) {
    throw new HoldfastError('HashMismatch', 'the bytes sent do not have the address given', {
      context: { expected: address, computed },
    });
  }
  // An abort settles this while a write may still read the memory; what it writes then is never published.
  const { existed } = await adapter.store(computed, [body], { signal: exchange.signal });
  return { address: computed, size: body.length, existed };
}
