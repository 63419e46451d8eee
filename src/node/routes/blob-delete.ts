import { addressFrom, etagOf } from '../../http/message/address.ts';
import { evaluate } from '../../http/message/conditional.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { sendEmpty } from '../../http/message/respond.ts';
import type { NodeEndpoint } from '../context.ts';

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
