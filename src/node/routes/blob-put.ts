import { addressFrom, etagOf } from '../../http/message/address.ts';
import { evaluate } from '../../http/message/conditional.ts';
import { HttpProblem } from '../../http/message/problem.ts';
import { sendEmpty } from '../../http/message/respond.ts';
import type { NodeEndpoint } from '../context.ts';
import { stateOf } from '../rotten.ts';
import { upload } from './upload.ts';

/** `PUT /o/{address}`: 201 new, 200 there already, 409 other bytes, 412, 413, 507. */
export const putBlob: NodeEndpoint = {
  scope: 'write',
  load: 'write',
  takesBody: true,
  async run(context, exchange, [text]) {
    const address = addressFrom(text);
    const state = await stateOf(context, address, exchange);
    const present = state === 'good';
    const etag = etagOf(address);
    const preconditions = {
      ifMatch: exchange.header('if-match'),
      ifNoneMatch: exchange.header('if-none-match'),
    };
    if (evaluate(preconditions, present ? etag : undefined, false) === 'failed') {
      throw new HttpProblem(412, 'PreconditionFailed', present ? 'the blob is here' : 'the blob is not here');
    }
    const { existed } = await upload(context, exchange, { address, rotten: state === 'rotten' });
    sendEmpty(exchange, existed ? 200 : 201, { etag, location: `/o/${address}` });
  },
};
