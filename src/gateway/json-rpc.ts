/** JSON-RPC 2.0 (jsonrpc.org/specification), apart from how its bytes travel. */

type RpcId = string | number | null;

/** @throws RpcError for parameters that are no good; anything else becomes an internal error. */
export type RpcMethod = (params: unknown) => Promise<unknown>;

export class RpcError extends Error {
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export const RPC = {
  parse: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
} as const;

/** Parameters by name, or by position in the order of `names`. @throws RpcError for what is not known. */
export function named(params: unknown, names: readonly string[]): Readonly<Record<string, unknown>> {
  const entries = Array.isArray(params)
    ? params.map((value, i) => [names[i] ?? `#${i}`, value] as const)
    : Object.entries(params ?? {});
  const unknown = entries.find(([name]) => !names.includes(name));
  if (unknown !== undefined)
    throw new RpcError(RPC.invalidParams, `the parameter ${unknown[0]} is not known`);
  return Object.fromEntries(entries);
}

export interface RpcOptions {
  readonly methods: ReadonlyMap<string, RpcMethod>;
  /** Calls in one batch; more are refused as a whole. */
  readonly maxBatch: number;
  /** Sees what went wrong inside a method and what of it the caller may see. */
  readonly onInternal: (error: unknown) => { readonly message: string; readonly data: unknown };
}

/** Answers a request or a batch. @returns what to send back; undefined when there were only notifications. */
export async function answerRpc(text: string, options: RpcOptions): Promise<unknown> {
  let call: unknown;
  try {
    call = JSON.parse(text);
  } catch {
    return failure(null, new RpcError(RPC.parse, 'this is not JSON'));
  }
  if (!Array.isArray(call)) return answerOne(call, options);
  if (call.length === 0 || call.length > options.maxBatch) {
    return failure(null, new RpcError(RPC.invalidRequest, `a batch has 1 to ${options.maxBatch} calls`));
  }
  const answers: unknown[] = [];
  for (const one of call) {
    const answer = await answerOne(one, options);
    if (answer !== undefined) answers.push(answer);
  }
  return answers.length > 0 ? answers : undefined;
}

async function answerOne(call: unknown, options: RpcOptions): Promise<unknown> {
  const request = readRequest(call);
  if (request === undefined) return failure(null, new RpcError(RPC.invalidRequest, 'this is not a request'));
  const { id, method, params } = request;
  try {
    const run = options.methods.get(method);
    if (run === undefined) throw new RpcError(RPC.methodNotFound, 'there is no such method');
    const result = await run(params);
    return id === undefined ? undefined : { jsonrpc: '2.0', result, id };
  } catch (error) {
    const shown = error instanceof RpcError ? error : internal(error, options);
    return id === undefined ? undefined : failure(id, shown);
  }
}

function internal(error: unknown, { onInternal }: RpcOptions): RpcError {
  const { message, data } = onInternal(error);
  return new RpcError(RPC.internal, message, data);
}

interface RpcRequest {
  /** Undefined: a notification, which is never answered. */
  readonly id: RpcId | undefined;
  readonly method: string;
  readonly params: unknown;
}

function readRequest(call: unknown): RpcRequest | undefined {
  if (typeof call !== 'object' || call === null || Array.isArray(call)) return undefined;
  const { jsonrpc, id, method, params } = call as Record<string, unknown>;
  if (jsonrpc !== '2.0' || typeof method !== 'string') return undefined;
  if (params !== undefined && (typeof params !== 'object' || params === null)) return undefined;
  const goodId = id === undefined || id === null || typeof id === 'string' || typeof id === 'number';
  return goodId ? { id, method, params } : undefined;
}

const failure = (id: RpcId, { code, message, data }: RpcError): unknown => ({
  jsonrpc: '2.0',
  error: { code, message, ...(data === undefined ? {} : { data }) },
  id,
});
