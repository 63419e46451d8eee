import { etagOf } from '../../http/message/address.ts';
import { sendJson } from '../../http/message/respond.ts';
import type { NodeEndpoint } from '../context.ts';
import { upload } from './upload.ts';

/** `POST /o`: computes the address. 201, or 200 when the blob was there; `Location` either way. */
export const postBlob: NodeEndpoint = {
  scope: 'write',
  load: 'write',
  takesBody: true,
  async run(context, exchange) {
    const { address, size, existed } = await upload(context, exchange, undefined);
    const headers = { location: `/o/${address}`, etag: etagOf(address) };
    sendJson(exchange, existed ? 200 : 201, { address, size }, headers);
  },
};
