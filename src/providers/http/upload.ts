import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import type { Upload } from '../driver.ts';
import { createPushBody } from '../wire/upload.ts';
import { badAnswer, type NodeClient } from './client.ts';

/** Streams to the node, which hashes for itself and keeps nothing of a body that does not end. */
export function nodeUpload(
  client: NodeClient,
  address: BlobAddress | undefined,
  signal: AbortSignal | undefined,
): Upload {
  const push = createPushBody(signal);
  const target =
    address === undefined ? { method: 'POST', path: '/o' } : { method: 'PUT', path: `/o/${address}` };
  const sent = client.call({ ...target, body: push.body, signal });
  // An answer before the end is a refusal: whoever is writing must hear of it.
  sent.then(
    () => {},
    (error: unknown) => push.fail(error),
  );
  return {
    write: (piece) => push.push(piece),
    async commit(computed) {
      throwIfAborted(signal, 'storeStream');
      push.end();
      const answer = await sent;
      await answer.discard();
      if (answer.header('etag') !== `"${computed}"`)
        throw badAnswer('it stored the bytes under another address');
      return { existed: answer.status === 200 };
    },
    async discard() {
      push.fail(new Error('the upload was given up'));
      const answer = await sent.catch(() => undefined);
      await answer?.discard();
    },
  };
}
