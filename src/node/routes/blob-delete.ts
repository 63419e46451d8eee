import type { Endpoint } from '../context.ts';
import { evaluate } from '../http/conditional.ts';
import { HttpProblem } from '../http/problem.ts';
import { sendEmpty } from '../http/respond.ts';
import { addressFrom, etagOf } from './address.ts';

/** `DELETE /o/{address}`: 204, whether or not it was there. */
export const deleteBlob: Endpoint = {
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
