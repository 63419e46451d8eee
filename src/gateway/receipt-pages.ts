import { HoldfastError } from '../core/errors.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Endpoint } from '../http/handle.ts';
import { badRequest, HttpProblem } from '../http/problem.ts';
import { sendBytes, sendJson } from '../http/respond.ts';
import { readsSince, viewEpochs } from '../receipts/epoch-view.ts';
import { findReceipt, proveReceipt } from '../receipts/inspect.ts';
import type { Place } from '../receipts/log/load.ts';
import type { GatewayContext } from './context.ts';
import { named, RPC, RpcError, type RpcMethod } from './json-rpc.ts';

const DEFAULT_EPOCHS = 24;
const MAX_EPOCHS = 168;
const MAX_EPOCH = 9_999_999_999;

/** `/storage/receipts?limit=N&before=EPOCH`: hours of receipts, the newest first. */
export const listReceipts: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run({ receipts }, exchange) {
    const limit = numberOf(exchange, 'limit', 1, MAX_EPOCHS) ?? DEFAULT_EPOCHS;
    const before = numberOf(exchange, 'before', 0, MAX_EPOCH);
    const place = placeOf(receipts);
    const epochs = await alone(place, () => viewEpochs(place, { limit, before }));
    sendJson(exchange, 200, { epochs });
  },
};

const ID = /^(?:[0-9a-f]{32}|[0-9a-f]{64})$/;

/** `/storage/receipts/proof?epoch=EPOCH&id=ID`: that a receipt is in the root of its hour, for anyone to check. */
export const proveOne: Endpoint<GatewayContext> = {
  scope: 'admin',
  load: 'read',
  async run({ receipts }, exchange) {
    const epoch = numberOf(exchange, 'epoch', 0, MAX_EPOCH);
    const id = exchange.target?.query.get('id') ?? '';
    if (epoch === undefined || !ID.test(id))
      throw badRequest('give the epoch and the id of a receipt, in 64 hex digits, of an execution in 32');
    const place = placeOf(receipts);
    const { signal } = exchange;
    const proof = await alone(place, async () =>
      proveReceipt(place, await findReceipt(place, id, { epoch, signal })),
    );
    const head = ['content-type', 'application/cbor', 'cache-control', 'no-store'];
    sendBytes(exchange, 200, [...head, 'content-disposition', 'attachment; filename="receipt.proof"'], proof);
  },
};

/** `gateway.reads_since`: what was read since an hour began, page by page. */
export const receiptMethods = (
  { receipts }: Pick<GatewayContext, 'receipts'>,
  signal: AbortSignal,
): readonly [string, RpcMethod][] => [
  [
    'gateway.reads_since',
    async (params) => {
      const { epoch, file = 0 } = named(params, ['epoch', 'file']);
      if (!isWhole(epoch, MAX_EPOCH) || !isWhole(file, MAX_EPOCH))
        throw new RpcError(RPC.invalidParams, 'epoch and file are whole numbers from 0');
      const place = placeOf(receipts);
      const { next = null, ...page } = await alone(place, () => readsSince(place, { epoch, file }, signal));
      return { ...page, next };
    },
  ],
];

const isWhole = (value: unknown, max: number): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= max;

/** @throws HttpProblem for a parameter that is no such number. */
function numberOf({ target }: Exchange, name: string, min: number, max: number): number | undefined {
  const text = target?.query.get(name) ?? undefined;
  if (text === undefined) return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value < min || value > max) throw badRequest(`${name} is a whole number from ${min} to ${max}`);
  return value;
}

/** @throws HttpProblem 404 where no receipts are kept. */
function placeOf(receipts: GatewayContext['receipts']): Place {
  if (receipts === undefined) throw new HttpProblem(404, 'NotFound', 'this gateway keeps no receipts');
  return receipts.place;
}

const READING = new WeakSet<Place>();

/** Going through receipts takes time that reads need: one does it at a time. */
async function alone<T>(place: Place, work: () => Promise<T>): Promise<T> {
  if (READING.has(place))
    throw new HoldfastError('RateLimited', 'somebody else goes through the receipts at the moment', {
      code: 'receipts_overloaded',
      hint: 'Try again later.',
    });
  READING.add(place);
  try {
    return await work();
  } finally {
    READING.delete(place);
  }
}
