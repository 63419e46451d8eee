import { addressOf, type BlobAddress } from '../core/address.ts';
import type { BufferPool } from '../core/buffer-pool.ts';
import { isHoldfastError } from '../core/errors.ts';
import { batchBody } from '../http/batched-body.ts';
import { checkStatedLength, gatherBody, incomingBody, statedLength } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import { HttpProblem } from '../http/problem.ts';
import { createTransferAllowance } from '../http/slow-peers.ts';
import { MAX_BLOB_BYTES } from '../providers/adapter.ts';
import type { NodeContext } from './context.ts';
import { inflateBody } from './inflate.ts';
import type { Claim } from './readiness.ts';
import { otherBytes } from './rot.ts';

/** Length of each of the two buffers that a long body goes through. */
const BATCH_BYTES = 1024 * 1024;

export interface Uploaded {
  readonly address: BlobAddress;
  readonly size: number;
  readonly existed: boolean;
}

/** Longest body this client may send, inflated. */
function bodyCap({ limits }: NodeContext, { principal }: Exchange): number {
  const cap = principal.authenticated ? limits.maxBodyBytes : limits.maxForeignBodyBytes;
  return Math.min(cap, MAX_BLOB_BYTES);
}

/** The body of a request, its content coding undone. @throws HttpProblem 413, 415, 400, 408 */
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
      allowance: createTransferAllowance(context.clock, context.limits),
      onBytes,
    });
  };
  if (coding === 'identity') return wire();
  const inflate = coding === 'gzip' || coding === 'zstd' ? context.inflaters[coding] : undefined;
  if (inflate === undefined) {
    throw new HttpProblem(
      415,
      'UnsupportedMediaType',
      'gzip and zstd are the only content codings known here',
      {
        headers: { 'accept-encoding': 'gzip, zstd' },
      },
    );
  }
  return inflateBody(inflate, wire(), { maxBytes, statedBytes: statedLength(request) });
}

/** The blob that the body should be. */
export interface Wanted {
  /** Undefined: any blob. */
  readonly address?: BlobAddress;
  /** What is kept under the address is wrong, and goes once all of the right bytes have come. */
  readonly replace?: boolean;
}

/** Watches a body on its way to the adapter. */
type Through = (body: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

/** Stores the body as a blob. @throws HttpProblem 409 when it has another address, 507 when there is no room */
export async function upload(context: NodeContext, exchange: Exchange, wanted: Wanted): Promise<Uploaded> {
  const stated = statedLength(exchange.request);
  const known = exchange.request.headers['content-encoding'] === undefined && stated !== undefined;
  checkStatedLength(exchange.request, bodyCap(context, exchange));
  const claim = await context.readiness.claim(known ? stated : 0);
  const through: Through = (body) => claimed(body, claim, known);
  try {
    return await (storedFromMemory(context, exchange, wanted) ??
      batched(context, exchange, wanted, through) ??
      streamed(context, exchange, wanted, through));
  } catch (error) {
    if (!isHoldfastError(error, 'HashMismatch')) throw error;
    throw new HttpProblem(409, 'HashMismatch', 'the body does not have the address it was sent to', {
      cause: error,
    });
  } finally {
    claim.release();
  }
}

/** Looks after the room for a body as it comes, and claims it for one of unknown length. */
async function* claimed(
  body: AsyncIterable<Uint8Array>,
  claim: Claim,
  known: boolean,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of body) {
    if (!known) claim.grow(piece.length);
    claim.came(piece.length);
    yield piece;
  }
}

function streamed(
  context: NodeContext,
  exchange: Exchange,
  { address, replace }: Wanted,
  through: Through,
): Promise<Uploaded> {
  const maxBytes = bodyCap(context, exchange);
  const body = through(bodyOf(context, exchange, maxBytes));
  return context.adapter.storeStream(address, body, { maxBytes, replace, signal: exchange.signal });
}

/** Passes a long body through two buffers. Undefined when it is short or coded, or there is no memory to spare. */
function batched(
  context: NodeContext,
  exchange: Exchange,
  wanted: Wanted,
  through: Through,
): Promise<Uploaded> | undefined {
  const { request } = exchange;
  const { uploadMemory, limits } = context;
  const short = (statedLength(request) ?? Number.POSITIVE_INFINITY) <= limits.uploadBodyBytes;
  if (short || request.headers['content-encoding'] !== undefined) return undefined;
  const memory = takeTwo(uploadMemory, BATCH_BYTES);
  return memory && storedInBatches(context, exchange, wanted, memory, through);
}

async function storedInBatches(
  context: NodeContext,
  exchange: Exchange,
  { address, replace }: Wanted,
  memory: readonly Uint8Array[],
  through: Through,
): Promise<Uploaded> {
  const { adapter, clock, limits, uploadMemory } = context;
  const maxBytes = bodyCap(context, exchange);
  const body = batchBody(exchange, memory, { maxBytes, clock, allowance: limits });
  let stillRead: Uint8Array | undefined;
  try {
    const options = { maxBytes, replace, signal: exchange.signal };
    return await adapter.storeStream(address, through(body), options);
  } catch (error) {
    // An abort may settle this while a write still reads the piece that is out, if one is.
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

/** Takes a short body whole and stores it at once. Undefined when it is not short, or there is no memory to spare. */
function storedFromMemory(
  context: NodeContext,
  exchange: Exchange,
  wanted: Wanted,
): Promise<Uploaded> | undefined {
  const { request } = exchange;
  const { uploadMemory, limits } = context;
  const size = statedLength(request);
  if (size === undefined || request.headers['content-encoding'] !== undefined) return undefined;
  const buffer = size > limits.uploadBodyBytes ? undefined : uploadMemory.take(size);
  if (buffer === undefined) return undefined;
  return gathered(context, exchange, wanted, buffer.subarray(0, size)).finally(() =>
    uploadMemory.give(buffer),
  );
}

async function gathered(
  { adapter, blake3, clock, limits }: NodeContext,
  exchange: Exchange,
  { address, replace }: Wanted,
  body: Uint8Array,
): Promise<Uploaded> {
  await gatherBody(exchange, body, { clock, allowance: limits });
  const computed = addressOf(blake3.hash(body));
  if (address !== undefined && address !== computed) throw otherBytes(address, computed);
  // An abort settles this while a write may still read the memory; what it writes then is never published.
  const { existed } = await adapter.store(computed, [body], { replace, signal: exchange.signal });
  return { address: computed, size: body.length, existed };
}
