import { type BlobAddress, isBlobAddress } from '../../core/address.ts';
import { isHoldfastError } from '../../core/errors.ts';
import { type BlobAdapter, type BlobStat, isSlotName, MAX_BLOB_BYTES } from '../adapter.ts';
import type { AdapterDeps, Driver } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { lengthOf, rangeHeader } from '../wire/body.ts';
import { wireReads } from '../wire/reads.ts';
import { createSizeLimit, USUAL_LIMIT } from '../wire/size-limit.ts';
import { badAnswer, createNodeClient, type NodePlace, parseJson } from './client.ts';
import { createNodeSlots } from './slots.ts';
import { nodeUpload } from './upload.ts';

export interface NodeOptions extends NodePlace {
  readonly id: string;
  /** False for a node that keeps everything in memory. Default true. */
  readonly durable?: boolean | undefined;
  /** Names asked for at once in a listing. Default 1000. */
  readonly pageNames?: number | undefined;
}

const MAX_PAGE_BYTES = 256 * 1024;

type Signal = AbortSignal | undefined;

/** A provider that is a Holdfast storage node. */
export function createHttpAdapter(options: NodeOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(nodeDriver(options, options), options);
}

/** Blobs at a storage node, over its HTTP interface. */
function nodeDriver(options: NodeOptions, { clock }: AdapterDeps): Driver {
  const client = createNodeClient(options, clock);
  const slots = createNodeSlots(client);
  const limit = createSizeLimit(
    {
      supportsList: true,
      supportsSlots: true,
      durable: options.durable ?? true,
      maxBlobBytes: MAX_BLOB_BYTES,
      sureBlobBytes: USUAL_LIMIT,
    },
    clock,
  );
  const pathOf = (address: BlobAddress): string => `/o/${address}`;

  const stat = async (address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> => {
    const answer = await client
      .call({ method: 'HEAD', path: pathOf(address), signal })
      .catch((error: unknown) => {
        if (!isHoldfastError(error, 'NotFound')) throw error;
      });
    if (answer === undefined) return undefined;
    await answer.discard();
    const seen = { replicasObserved: 1, replicaTarget: 1, lastSeenUnixMs: clock.now() };
    return { size: lengthOf(answer), ...seen, encoding: 'identity' };
  };
  const reads = wireReads((address, offset, length, signal) =>
    client.call({ method: 'GET', path: pathOf(address), headers: rangeHeader(offset, length), signal }),
  );
  const names = async function* (path: string, field: string, from: string, prefix: string, signal: Signal) {
    for (let after = from; ; ) {
      const query = `limit=${options.pageNames ?? 1000}&after=${after}${prefix}`;
      const answer = await client.call({ method: 'GET', path: `${path}?${query}`, signal });
      const page = parseJson(await answer.text(MAX_PAGE_BYTES));
      const list: unknown = page[field];
      if (!Array.isArray(list)) throw badAnswer('a listing without names');
      for (const name of list) if (typeof name === 'string') yield name;
      if (page.next === undefined) return;
      // The last name of a page is where the next one begins; so pages end when names do.
      if (typeof page.next !== 'string' || page.next <= after || page.next !== list.at(-1))
        throw badAnswer('a listing that does not advance');
      after = page.next;
    }
  };

  return {
    id: options.id,
    capabilities: limit.capabilities,
    async store(address, parts, size, signal) {
      // Not asked for first: it is hardly ever there, and the node says so too.
      const headers = { 'content-length': String(size) };
      const request = { method: 'PUT', path: pathOf(address), headers, body: parts, signal };
      const answer = await limit.sending(size, () => client.call(request));
      await answer.discard();
      return { existed: answer.status === 200 };
    },
    openUpload: async (address, signal) => nodeUpload(client, address, signal),
    ...reads,
    stat,
    async delete(address, signal) {
      await (await client.call({ method: 'DELETE', path: pathOf(address), signal })).discard();
    },
    async *list(prefixHex, after, signal) {
      const prefix = prefixHex === '' ? '' : `&prefix=${prefixHex}`;
      for await (const name of names('/o', 'addresses', after, prefix, signal))
        if (isBlobAddress(name)) yield name;
    },
    async probe(signal) {
      const start = clock.monotonic();
      await (await client.call({ method: 'GET', path: '/readyz', signal })).discard();
      return { rttMs: clock.monotonic() - start };
    },
    readSlot: (name, signal) => slots.read(name, signal),
    writeSlot: (name, bytes, expected, signal) => slots.write(name, bytes, expected, signal),
    deleteSlot: (name, signal, forget) => slots.delete(name, signal, forget),
    async *listSlots(after, signal) {
      for await (const name of names('/slots', 'names', after, '', signal)) if (isSlotName(name)) yield name;
    },
    close: () => client.close(),
  };
}
