import { concatBytes, utf8Decode } from '../../core/bytes.ts';
import { checkStatedLength, incomingBody } from '../../http/body/incoming.ts';
import type { Exchange } from '../../http/exchange.ts';
import { badRequest, HttpProblem, problemOf } from '../../http/message/problem.ts';
import { sendEmpty, sendJson } from '../../http/message/respond.ts';
import { createPatience } from '../../http/message/transfer-allowance.ts';
import type { Endpoint } from '../../http/route.ts';
import type { GatewayContext } from '../context.ts';
import { checkLimit, DEFAULT_LIMIT, manifestsPage, providersPage } from '../explorer.ts';
import { answerRpc, RPC, RpcError, type RpcMethod } from '../json-rpc.ts';

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
      throw new HttpProblem(415, 'UnsupportedMediaType', 'JSON-RPC comes as application/json');
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
    [
      'storage.manifests',
      async (params) => {
        const limit = checkLimit(named(params, ['limit']).limit ?? DEFAULT_LIMIT);
        if (limit === undefined) {
          throw new RpcError(RPC.invalidParams, 'limit is a whole number from 1 to 1000');
        }
        return manifestsPage(context, limit, signal);
      },
    ],
    [
      'storage.providers',
      async (params) => {
        named(params, []);
        return providersPage(context);
      },
    ],
  ]);
}

/** Parameters by name, or by position in the order of `names`. @throws RpcError for what is not known. */
function named(params: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  const entries = Array.isArray(params)
    ? params.map((value, i) => [names[i] ?? `#${i}`, value] as const)
    : Object.entries(params ?? {});
  const unknown = entries.find(([name]) => !names.includes(name));
  if (unknown !== undefined)
    throw new RpcError(RPC.invalidParams, `the parameter ${unknown[0]} is not known`);
  return Object.fromEntries(entries);
}

async function readText({ clock, limits }: GatewayContext, exchange: Exchange): Promise<string> {
  const { request } = exchange;
  if (request.headers['content-encoding'] !== undefined) {
    throw new HttpProblem(415, 'UnsupportedMediaType', 'JSON-RPC comes without a content coding');
  }
  checkStatedLength(request, MAX_BODY_BYTES);
  exchange.invite();
  const pieces: Uint8Array[] = [];
  const onBytes = (count: number): void => {
    exchange.bytesIn += count;
  };
  const patience = createPatience(clock, limits);
  for await (const piece of incomingBody(request, { maxBytes: MAX_BODY_BYTES, patience, onBytes })) {
    pieces.push(piece);
  }
  try {
    return utf8Decode(concatBytes(...pieces));
  } catch {
    throw badRequest('the body is not UTF-8');
  }
}
