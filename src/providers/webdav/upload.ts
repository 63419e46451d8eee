import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { type Clock, withDeadline } from '../../core/clock.ts';
import type { Upload } from '../driver.ts';
import { createPushBody } from '../wire/upload.ts';
import type { WebDavClient } from './client.ts';

const CLEAN_UP_TIMEOUT_MS = 10_000;

/** Removes an unfinished upload; best effort, since whatever failed before may fail again. */
export async function cleanUp(clock: Clock, client: WebDavClient, temp: string): Promise<void> {
  await withDeadline(clock, CLEAN_UP_TIMEOUT_MS, 'clean up', (signal) => client.remove(temp, signal)).catch(
    () => {},
  );
}

/** Streams to a temporary name and moves it once the address is known. */
export function webDavUpload(
  clock: Clock,
  client: WebDavClient,
  temp: string,
  signal: AbortSignal | undefined,
  publish: (address: BlobAddress, size: number) => Promise<boolean>,
): Upload {
  const push = createPushBody(signal);
  const sent = client.call({ method: 'PUT', path: temp, body: push.body, signal });
  // An answer before the end is a refusal: whoever is writing must hear of it.
  sent.then(
    () => {},
    (error: unknown) => push.fail(error),
  );
  return {
    write: (piece) => push.push(piece),
    async commit(address, size) {
      push.end();
      await (await sent).discard();
      throwIfAborted(signal, 'storeStream');
      return { existed: await publish(address, size) };
    },
    async discard() {
      push.fail(new Error('the upload was given up'));
      await sent.catch(() => {});
      await cleanUp(clock, client, temp);
    },
  };
}
