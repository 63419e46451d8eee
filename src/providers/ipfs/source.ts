import type { BlobAddress } from '../../core/address.ts';
import type { Clock } from '../../core/clock.ts';
import { isHoldfastError } from '../../core/errors.ts';
import type { CredentialReader } from '../credentials.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { authHeaders, sendAuthorised } from '../wire/auth.ts';
import { lengthOf } from '../wire/body.ts';
import { createWireClient, type TlsIdentity } from '../wire/client.ts';
import { statusError } from '../wire/errors.ts';
import { cidOf, jsonLines, type KuboRpc, unreadable } from './rpc.ts';

type Signal = AbortSignal | undefined;

/** Where blocks are read from. */
export interface BlockSource {
  open(address: BlobAddress, signal: Signal): Promise<WireAnswer>;
  /** Undefined when it is not there. */
  sizeOf(address: BlobAddress, signal: Signal): Promise<number | undefined>;
  check(signal: Signal): Promise<void>;
  close(): Promise<void>;
}

/** The node's own blocks. Offline: a block that it does not hold is not searched for in the network. */
export function rpcSource(rpc: KuboRpc): BlockSource {
  const query = (address: BlobAddress) => ({ arg: cidOf(address), offline: 'true' });
  return {
    open: (address, signal) => rpc.call('block/get', query(address), signal),
    async sizeOf(address, signal) {
      try {
        for await (const { Size } of jsonLines(await rpc.call('block/stat', query(address), signal))) {
          if (typeof Size === 'number') return Size;
        }
      } catch (error) {
        if (isHoldfastError(error, 'NotFound')) return undefined;
        throw error;
      }
      throw unreadable();
    },
    check: async (signal) => (await rpc.call('version', {}, signal)).discard(),
    close: () => rpc.close(),
  };
}

export interface GatewayOptions extends TlsIdentity {
  readonly url: string;
  readonly credentials: CredentialReader;
  readonly clock: Clock;
}

/** The empty block of the identity hash, which every gateway can answer (specs.ipfs.tech/http-gateways/trustless-gateway). */
const PROBE_CID = 'bafkqaaa';

/** A trustless gateway: raw blocks, which the reader verifies. */
export function gatewaySource({ url, credentials, clock, ...tls }: GatewayOptions): BlockSource {
  const { origin, pathname } = new URL(url);
  const base = pathname.replace(/\/$/, '');
  const wire = createWireClient({ origin, tls });
  const ask = async (method: string, cid: string, signal: Signal): Promise<WireAnswer> => {
    const path = `${base}/ipfs/${cid}?format=raw`;
    const answer = await sendAuthorised(credentials, true, (secrets) => {
      const headers = { accept: 'application/vnd.ipld.raw', ...authHeaders(secrets) };
      return wire.send({ method, path, headers, signal });
    });
    if (answer.status === 200) return answer;
    await answer.discard();
    throw statusError(answer, clock);
  };
  return {
    open: (address, signal) => ask('GET', cidOf(address), signal),
    async sizeOf(address, signal) {
      try {
        const answer = await ask('HEAD', cidOf(address), signal);
        await answer.discard();
        return lengthOf(answer);
      } catch (error) {
        if (isHoldfastError(error, 'NotFound')) return undefined;
        throw error;
      }
    },
    check: async (signal) => (await ask('GET', PROBE_CID, signal)).discard(),
    close: () => wire.close(),
  };
}
