import { throwIfAborted } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type { BlobAdapter, StoreResult } from '../adapter.ts';
import { inOrder } from '../ascending.ts';
import type { CredentialReader } from '../credentials.ts';
import type { AdapterDeps, Driver } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { unsupported } from '../guard.ts';
import type { TlsIdentity } from '../wire/client.ts';
import { wireReads } from '../wire/reads.ts';
import { addressOfCid, cidOf } from './cid.ts';
import { createKuboRpc, jsonLines, unreadable } from './rpc.ts';
import { type BlockSource, gatewaySource, rpcSource } from './source.ts';

export interface IpfsOptions extends TlsIdentity {
  readonly id: string;
  /** Kubo's RPC, e.g. `http://127.0.0.1:5001`. Without it the provider can only be read. */
  readonly api?: string | undefined;
  /** A trustless gateway to read from instead of the RPC. */
  readonly gateway?: string | undefined;
  /** `username` and `password`, or `token`. Asked before each request. */
  readonly credentials: CredentialReader;
  /** Default 1 MiB: larger blocks can be kept by a node but not be exchanged between nodes. */
  readonly maxBlobBytes?: number | undefined;
}

/** Of a list that comes whole and unsorted each time. */
const LISTED_AT_ONCE = 200_000;
const EXCHANGEABLE_BYTES = 1024 * 1024;

type Signal = AbortSignal | undefined;

/** A provider that is an IPFS node (Kubo), or, to be read only, a trustless gateway. */
export function createIpfsAdapter(options: IpfsOptions & AdapterDeps): BlobAdapter {
  return adapterFromDriver(ipfsDriver(options, options), options);
}

/** Blobs as pinned raw blocks of an IPFS node. */
function ipfsDriver(options: IpfsOptions, deps: AdapterDeps): Driver {
  const { clock } = deps;
  const maxBlobBytes = options.maxBlobBytes ?? EXCHANGEABLE_BYTES;
  const rpc =
    options.api === undefined ? undefined : createKuboRpc({ ...options, ...deps, url: options.api });
  const source = sourceOf(options, deps, rpc);
  const writable = () => rpc ?? unsupported('writing: no api is configured');

  const reads = wireReads((address, _offset, _length, signal) => source.open(address, signal));
  const put = async (
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
  ): Promise<StoreResult> => {
    const existed = (await source.sizeOf(address, signal)) === size;
    // Put again even if it is there: a block that is only cached is not pinned yet.
    const query = {
      'cid-codec': 'raw',
      mhtype: 'blake3',
      mhlen: '32',
      pin: 'true',
      ...(size > EXCHANGEABLE_BYTES ? { 'allow-big-block': 'true' } : {}),
    };
    const answer = await writable().upload(
      'block/put',
      query,
      parts.length === 0 ? [new Uint8Array()] : parts,
      signal,
    );
    for await (const { Key } of jsonLines(answer)) {
      if (Key === cidOf(address)) return { existed };
      throw new HoldfastError('Unavailable', 'the IPFS node stored the block under another CID', {
        code: 'bad_answer',
      });
    }
    throw unreadable();
  };
  const forget = async (command: string, query: Record<string, string>, signal: Signal): Promise<void> => {
    try {
      for await (const { Error: failure } of jsonLines(await writable().call(command, query, signal))) {
        if (typeof failure === 'string' && failure !== '')
          throw new HoldfastError('Unavailable', 'the IPFS node kept the block');
      }
    } catch (error) {
      if (!isHoldfastError(error, 'NotFound')) throw error;
    }
  };

  return {
    id: options.id,
    capabilities: { supportsList: rpc !== undefined, supportsSlots: false, durable: true, maxBlobBytes },
    store: put,
    async openUpload(_address, signal) {
      writable();
      const pieces: Uint8Array[] = [];
      return {
        async write(piece) {
          pieces.push(piece.slice());
        },
        async commit(address, size) {
          throwIfAborted(signal, 'storeStream');
          return put(address, pieces, size, signal);
        },
        async discard() {
          pieces.length = 0;
        },
      };
    },
    ...reads,
    async stat(address, signal) {
      const size = await source.sizeOf(address, signal);
      if (size === undefined) return undefined;
      const seen = { replicasObserved: 1, replicaTarget: 1, lastSeenUnixMs: clock.now() };
      return { size, ...seen, encoding: 'identity' };
    },
    async delete(address, signal) {
      const arg = cidOf(address);
      await forget('pin/rm', { arg }, signal);
      await forget('block/rm', { arg, force: 'true' }, signal);
    },
    async *list(prefixHex, after, signal) {
      const pinned = async function* (): AsyncGenerator<string, void, undefined> {
        const answer = await writable().call('pin/ls', { type: 'recursive', stream: 'true' }, signal);
        for await (const { Cid } of jsonLines(answer)) {
          const address = typeof Cid === 'string' ? addressOfCid(Cid) : undefined;
          if (address?.startsWith(prefixHex, 3)) yield address;
        }
      };
      yield* inOrder(pinned, after, LISTED_AT_ONCE) as AsyncIterable<BlobAddress>;
    },
    async probe(signal) {
      const start = clock.monotonic();
      await source.check(signal);
      return { rttMs: clock.monotonic() - start };
    },
    readSlot: noSlots,
    writeSlot: noSlots,
    deleteSlot: noSlots,
    listSlots: () => unsupported('slots'),
    async close() {
      await source.close();
      await rpc?.close();
    },
  };
}

function sourceOf(
  options: IpfsOptions,
  deps: AdapterDeps,
  rpc: ReturnType<typeof createKuboRpc> | undefined,
): BlockSource {
  if (options.gateway !== undefined) return gatewaySource({ ...options, ...deps, url: options.gateway });
  if (rpc !== undefined) return rpcSource(rpc);
  throw new HoldfastError('ConfigInvalid', `provider "${options.id}" has neither an api nor a gateway`, {
    provider: options.id,
  });
}

const noSlots = async (): Promise<never> => unsupported('slots');
