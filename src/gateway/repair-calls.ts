import { isBlobAddress } from '../core/address.ts';
import type { Endpoint } from '../http/handle.ts';
import { badRequest } from '../http/problem.ts';
import { sendJson } from '../http/respond.ts';
import type { GatewayContext } from './context.ts';
import { named, RPC, RpcError, type RpcMethod } from './json-rpc.ts';
import type { ChunkAt } from './store.ts';

/** `POST /storage/repair-run`: repairs what is due, and answers with how it went. */
export const repairRun: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run({ repairs }, exchange) {
    sendJson(exchange, 200, await repairs.run(exchange.signal));
  },
};

/** `POST /storage/repair-chunk?manifest=b3:…&chunk=N&force=true`: repairs one chunk now. */
export const repairChunk: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run({ repairs }, exchange) {
    const query = exchange.target?.query;
    const text = query?.get('chunk') ?? '';
    const force = query?.get('force') ?? 'false';
    const at = chunkIn({
      manifest: query?.get('manifest'),
      chunk: /^\d{1,15}$/.test(text) ? Number(text) : undefined,
      force: force === 'true' ? true : force === 'false' ? false : undefined,
    });
    if (at === undefined) throw badRequest(WANTED);
    sendJson(exchange, 200, await repairs.chunk(at, exchange.signal));
  },
};

/** The same as calls. */
export const repairMethods = (
  { repairs }: GatewayContext,
  signal: AbortSignal,
): readonly (readonly [string, RpcMethod])[] => [
  [
    'storage.repair_run',
    async (params) => {
      named(params, []);
      return repairs.run(signal);
    },
  ],
  [
    'storage.repair_chunk',
    async (params) => {
      const { manifest, chunk, force = false } = named(params, ['manifest', 'chunk', 'force']);
      const at = chunkIn({ manifest, chunk, force });
      if (at === undefined) throw new RpcError(RPC.invalidParams, WANTED);
      return repairs.chunk(at, signal);
    },
  ],
];

const WANTED =
  'it takes manifest, the address of one, chunk, a whole number from 0, and force, true or false';

function chunkIn(given: Readonly<Record<'manifest' | 'chunk' | 'force', unknown>>): ChunkAt | undefined {
  const { manifest, chunk, force } = given;
  const isRight =
    typeof manifest === 'string' &&
    isBlobAddress(manifest) &&
    typeof chunk === 'number' &&
    Number.isSafeInteger(chunk) &&
    chunk >= 0 &&
    typeof force === 'boolean';
  return isRight ? { manifest, chunk, force } : undefined;
}
