import { concatBytes, utf8Decode } from '../core/bytes.ts';
import { checkStatedLength, incomingBody } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Endpoint } from '../http/handle.ts';
import { badRequest, HttpProblem, problemOf } from '../http/problem.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import { createTransferAllowance } from '../http/slow-peers.ts';
import type { GatewayContext, StoragePolicy } from './context.ts';
import { answerRpc, named, RPC, RpcError, type RpcMethod } from './json-rpc.ts';
import { moveMethods } from './move-calls.ts';
import { repairMethods } from './repair-calls.ts';
import type { ManifestSummary, ProviderSummary, RepairSummary } from './store.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1000;

interface ManifestsPage {
  readonly manifests: readonly ManifestSummary[];
  /** In force for what is put now; each manifest says itself what it was put with. */
  readonly policy: StoragePolicy;
}

/** Undefined unless it is a whole number from 1 to 1000. */
function checkLimit(value: unknown): number | undefined {
  const whole = typeof value === 'number' && Number.isSafeInteger(value);
  return whole && value >= 1 && value <= MAX_LIMIT ? value : undefined;
}

const manifestsPage = async (
  { store, policy }: GatewayContext,
  limit: number,
  signal: AbortSignal,
): Promise<ManifestsPage> => ({ manifests: await store.manifests(limit, signal), policy });

const providersPage = ({ store }: GatewayContext): { readonly providers: readonly ProviderSummary[] } => ({
  providers: store.providers(),
});

const repairsPage = async (
  { store }: GatewayContext,
  limit: number,
  signal: AbortSignal,
): Promise<{ readonly repairs: readonly RepairSummary[] }> => ({
  repairs: await store.repairs(limit, signal),
});

/** @throws HttpProblem for a `limit` that is none. */
function limitOf({ target }: Exchange): number {
  const text = target?.query.get('limit') ?? String(DEFAULT_LIMIT);
  const limit = checkLimit(/^\d{1,9}$/.test(text) ? Number(text) : undefined);
  if (limit === undefined) throw badRequest('limit is a whole number from 1 to 1000');
  return limit;
}

/** `/storage/manifests?limit=N`: the newest manifests by their public parts, and the policy in force. */
export const listManifests: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run(context, exchange) {
    sendJson(exchange, 200, await manifestsPage(context, limitOf(exchange), exchange.signal));
  },
};

/** `/storage/providers`: what is known of each provider. */
export const listProviders: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  run: async (context, exchange) => sendJson(exchange, 200, providersPage(context)),
};

/** `/storage/repair-history?limit=N`: the latest repairs. */
export const repairHistory: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run(context, exchange) {
    sendJson(exchange, 200, await repairsPage(context, limitOf(exchange), exchange.signal));
  },
};

/** `/storage/status`: how many losses what is stored survives, what is due, and what was lost. */
export const storageStatus: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run({ store }, exchange) {
    sendJson(exchange, 200, await store.status(exchange.signal));
  },
};

const MAX_BODY_BYTES = 64 * 1024;
const MAX_BATCH = 32;

/** `POST /rpc`: JSON-RPC 2.0, single calls and batches. */
export const rpc: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  takesBody: true,
  async run(context, exchange) {
    const type = exchange.header('content-type')?.split(';')[0]?.trim().toLowerCase();
    if (type !== 'application/json') {
      throw new HttpProblem(415, 'UnsupportedMediaType', 'send JSON-RPC as application/json');
    }
    const answer = await answerRpc(await readText(context, exchange), {
      methods: methodsOf(context, exchange.signal),
      maxBatch: MAX_BATCH,
      onInternal(error) {
        const { problem, message } = problemOf(error);
        return { message, data: { error: problem, corr_id: exchange.corrId } };
      },
    });
    if (answer === undefined) sendEmpty(exchange, 204);
    else sendJson(exchange, 200, answer);
  },
};

function methodsOf(context: GatewayContext, signal: AbortSignal): ReadonlyMap<string, RpcMethod> {
  return new Map<string, RpcMethod>([
    ['storage.manifests', async (params) => manifestsPage(context, limitIn(params), signal)],
    [
      'storage.providers',
      async (params) => {
        named(params, []);
        return providersPage(context);
      },
    ],
    [
      'storage.status',
      async (params) => {
        named(params, []);
        return context.store.status(signal);
      },
    ],
    ['storage.repair_history', async (params) => repairsPage(context, limitIn(params), signal)],
    ...repairMethods(context, signal),
    ...moveMethods(context, signal),
  ]);
}

/** The one parameter of a list. @throws RpcError for a `limit` that is none. */
function limitIn(params: unknown): number {
  const limit = checkLimit(named(params, ['limit']).limit ?? DEFAULT_LIMIT);
  if (limit === undefined) throw new RpcError(RPC.invalidParams, 'limit is a whole number from 1 to 1000');
  return limit;
}

async function readText({ clock, limits }: GatewayContext, exchange: Exchange): Promise<string> {
  const { request } = exchange;
  if (request.headers['content-encoding'] !== undefined) {
    throw new HttpProblem(415, 'UnsupportedMediaType', 'send JSON-RPC without a content coding');
  }
  checkStatedLength(request, MAX_BODY_BYTES);
  exchange.invite();
  const pieces: Uint8Array[] = [];
  const onBytes = (count: number): void => {
    exchange.bytesIn += count;
  };
  const allowance = createTransferAllowance(clock, limits);
  for await (const piece of incomingBody(request, { maxBytes: MAX_BODY_BYTES, allowance, onBytes })) {
    pieces.push(piece);
  }
  try {
    return utf8Decode(concatBytes(...pieces));
  } catch {
    throw badRequest('the body is not UTF-8');
  }
}
