import { abortable } from '../../core/abort.ts';
import type { BlobAddress } from '../../core/address.ts';
import { HoldfastError, isHoldfastError } from '../../core/errors.ts';
import type {
  AdapterCapabilities,
  BlobAdapter,
  BlobEntry,
  BlobStat,
  ProbeResult,
  StoreResult,
} from '../adapter.ts';
import type { CredentialReader } from '../credentials.ts';
import { type AdapterDeps, bufferedUpload, type Driver, noSlots, type Upload } from '../driver.ts';
import { adapterFromDriver } from '../from-driver.ts';
import { unsupported } from '../guard.ts';
import { inOrder } from '../listing.ts';
import { wireReads } from '../wire/body.ts';
import type { TlsIdentity } from '../wire/client.ts';
import { addressOfCid, cidOf, createKuboRpc, jsonLines, type KuboRpc, unreadable } from './rpc.ts';
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
  return adapterFromDriver(new IpfsDriver(options, options), options);
}

/** Blobs as pinned raw blocks of an IPFS node. */
class IpfsDriver implements Driver {
  readonly id: string;
  readonly capabilities: AdapterCapabilities;
  readonly fetch: Driver['fetch'];
  readonly fetchRange: Driver['fetchRange'];
  readonly read: Driver['read'];
  readonly readSlot = noSlots.readSlot;
  readonly writeSlot = noSlots.writeSlot;
  readonly deleteSlot = noSlots.deleteSlot;
  readonly listSlots = noSlots.listSlots;
  readonly #deps: AdapterDeps;
  readonly #rpc: KuboRpc | undefined;
  readonly #source: BlockSource;
  readonly #replacing = new Map<BlobAddress, Promise<void>>();

  constructor(options: IpfsOptions, deps: AdapterDeps) {
    const { id, api, maxBlobBytes = EXCHANGEABLE_BYTES } = options;
    this.id = id;
    this.#deps = deps;
    this.#rpc = api === undefined ? undefined : createKuboRpc({ ...options, ...deps, url: api });
    this.#source = sourceOf(options, deps, this.#rpc);
    const supportsList = this.#rpc !== undefined;
    this.capabilities = {
      supportsList,
      supportsSlots: false,
      durable: true,
      replacesAtOnce: false,
      maxBlobBytes,
    };
    const reads = wireReads((address, _offset, _length, signal) => this.#source.open(address, signal));
    ({ fetch: this.fetch, fetchRange: this.fetchRange, read: this.read } = reads);
  }

  async store(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
    replace: boolean,
  ): Promise<StoreResult> {
    const there = await this.#source.sizeOf(address, signal);
    const existed = replace ? there !== undefined : there === size;
    // A node takes a block that it has for what is put. It goes when all of the right bytes are at hand.
    if (replace && existed)
      return this.#alone(address, signal, async () => {
        await this.delete(address, signal);
        await this.#put(address, parts, size, signal);
        return { existed };
      });
    await this.#put(address, parts, size, signal);
    return { existed };
  }

  async #put(
    address: BlobAddress,
    parts: readonly Uint8Array[],
    size: number,
    signal: Signal,
  ): Promise<void> {
    // Put again even if it is there: a block that is only cached is not pinned yet.
    const query = {
      'cid-codec': 'raw',
      mhtype: 'blake3',
      mhlen: '32',
      pin: 'true',
      ...(size > EXCHANGEABLE_BYTES ? { 'allow-big-block': 'true' } : {}),
    };
    const body = parts.length === 0 ? [new Uint8Array()] : parts;
    const answer = await this.#writable().upload('block/put', query, body, signal);
    for await (const { Key } of jsonLines(answer)) {
      if (Key === cidOf(address)) return;
      throw new HoldfastError('Unavailable', 'the IPFS node stored the block under another CID', {
        code: 'bad_answer',
      });
    }
    throw unreadable();
  }

  async openUpload(_address: BlobAddress | undefined, signal: Signal, replace: boolean): Promise<Upload> {
    this.#writable();
    return bufferedUpload((...blob) => this.store(...blob), signal, replace);
  }

  async stat(address: BlobAddress, signal: Signal): Promise<BlobStat | undefined> {
    const size = await this.#source.sizeOf(address, signal);
    return size === undefined ? undefined : { size };
  }

  async delete(address: BlobAddress, signal: Signal): Promise<void> {
    const arg = cidOf(address);
    await this.#forget('pin/rm', { arg }, signal);
    await this.#forget('block/rm', { arg, force: 'true' }, signal);
  }

  async *list(
    prefixHex: string,
    after: BlobAddress | '',
    _details: boolean,
    signal: Signal,
  ): AsyncGenerator<BlobEntry, void, undefined> {
    const rpc = this.#writable();
    const pinned = async function* (): AsyncGenerator<BlobAddress, void, undefined> {
      const answer = await rpc.call('pin/ls', { type: 'recursive', stream: 'true' }, signal);
      for await (const { Cid } of jsonLines(answer)) {
        const address = typeof Cid === 'string' ? addressOfCid(Cid) : undefined;
        if (address?.startsWith(prefixHex, 3)) yield address;
      }
    };
    for await (const address of inOrder(pinned, String, after, LISTED_AT_ONCE))
      yield { address, pinned: true };
  }

  async probe(signal: Signal): Promise<ProbeResult> {
    const { clock } = this.#deps;
    const start = clock.monotonic();
    await this.#source.check(signal);
    return { rttMs: clock.monotonic() - start };
  }

  async close(): Promise<void> {
    await this.#source.close();
    await this.#rpc?.close();
  }

  /** One after the other: a block that another has just pinned cannot be removed. */
  async #alone<T>(address: BlobAddress, signal: Signal, work: () => Promise<T>): Promise<T> {
    const before = this.#replacing.get(address);
    const mine = (before ?? Promise.resolve()).then(work);
    const settled = mine.then(
      () => {},
      () => {},
    );
    this.#replacing.set(address, settled);
    try {
      return await abortable(mine, signal, 'store');
    } finally {
      if (this.#replacing.get(address) === settled) this.#replacing.delete(address);
    }
  }

  #writable(): KuboRpc {
    return this.#rpc ?? unsupported('writing: no api is configured');
  }

  async #forget(command: string, query: Record<string, string>, signal: Signal): Promise<void> {
    try {
      for await (const { Error: failure } of jsonLines(await this.#writable().call(command, query, signal))) {
        if (typeof failure === 'string' && failure !== '')
          throw new HoldfastError('Unavailable', 'the IPFS node kept the block');
      }
    } catch (error) {
      if (!isHoldfastError(error, 'NotFound')) throw error;
    }
  }
}

function sourceOf(options: IpfsOptions, deps: AdapterDeps, rpc: KuboRpc | undefined): BlockSource {
  if (options.gateway !== undefined) return gatewaySource({ ...options, ...deps, url: options.gateway });
  if (rpc !== undefined) return rpcSource(rpc);
  throw new HoldfastError('ConfigInvalid', `provider "${options.id}" has neither an api nor a gateway`, {
    provider: options.id,
  });
}
