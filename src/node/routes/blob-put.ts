import type { BlobAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { Exchange } from '../../http/exchange.ts';
import { addressFrom, etagOf } from '../../http/message/address.ts';
import { evaluate } from '../../http/message/conditional.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { sendEmpty } from '../../http/message/respond.ts';
import type { NodeContext, NodeEndpoint } from '../context.ts';
import { upload } from './upload.ts';

/** `PUT /o/{address}`: 201 new, 200 there already, 409 other bytes, 412, 413, 507. */
export const putBlob: NodeEndpoint = {
  scope: 'write',
  load: 'write',
  takesBody: true,
  async run(context, exchange, [text]) {
    const address = addressFrom(text);
    const present = await isGood(context, exchange, address);
    const etag = etagOf(address);
    const preconditions = {
      ifMatch: exchange.header('if-match'),
      ifNoneMatch: exchange.header('if-none-match'),
    };
    if (evaluate(preconditions, present ? etag : undefined, false) === 'failed') {
      throw new HttpProblem(412, 'PreconditionFailed', present ? 'the blob is here' : 'the blob is not here');
    }
    const { existed } = await upload(context, exchange, address);
    sendEmpty(exchange, existed ? 200 : 201, { etag, location: `/o/${address}` });
  },
};

/**
 * Whether the blob is here and right. One that rotted is removed first: an adapter takes a blob of the same length for
 * the same blob, and the client is about to send the right bytes.
 */
async function isGood(
  { reader, adapter }: NodeContext,
  exchange: Exchange,
  address: BlobAddress,
): Promise<boolean> {
  if (reader.absent(address)) return false;
  try {
    const blob = await reader.open(address, exchange);
    blob.release?.();
    return true;
  } catch (error) {
    if (isHoldfastError(error, 'NotFound')) return false;
    if (!isHoldfastError(error, 'HashMismatch') && !isHoldfastError(error, 'Corrupt')) throw error;
    await adapter.delete(address, { signal: exchange.signal });
    return false;
  }
}
