import { utf8Decode } from '../core/bytes.ts';
import { checkLimit, DEFAULT_LIMIT, manifestsPage, providersPage, repairsPage } from '../explorer/routes.ts';
import { wholeBody } from '../http/body.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Endpoint } from '../http/handle.ts';
import { badRequest, HttpProblem, problemOf } from '../http/problem.ts';
import { sendEmpty, sendJson } from '../http/respond.ts';
import type { GatewayContext } from './context.ts';
import { answerRpc, named, RPC, RpcError, type RpcMethod } from './json-rpc.ts';
import { moveMethods } from './move-calls.ts';
import { receiptMethods } from './receipt-pages.ts';
import { repairMethods } from './repair-calls.ts';

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
        return context.explorer.status(signal);
      },
    ],
    ['storage.repair_history', async (params) => repairsPage(context, limitIn(params), signal)],
    ...repairMethods(context, signal),
    ...moveMethods(context, signal),
    ...receiptMethods(context, signal),
  ]);
}

/** The one parameter of a list. @throws RpcError for a `limit` that is none. */
function limitIn(params: unknown): number {
  const limit = checkLimit(named(params, ['limit']).limit ?? DEFAULT_LIMIT);
  if (limit === undefined) throw new RpcError(RPC.invalidParams, 'limit is a whole number from 1 to 1000');
  return limit;
}

async function readText({ clock, limits }: GatewayContext, exchange: Exchange): Promise<string> {
  const body = await wholeBody(exchange, MAX_BODY_BYTES, clock, limits);
  try {
    return utf8Decode(body);
  } catch {
    throw badRequest('the body is not UTF-8');
  }
}
