import { isCount } from '../core/counts.ts';
import type { Endpoint } from '../http/handle.ts';
import { badRequest } from '../http/problem.ts';
import { sendJson } from '../http/respond.ts';
import type { GatewayContext } from './context.ts';
import { named, RPC, RpcError, type RpcMethod } from './json-rpc.ts';
import type { MoveTask } from './store.ts';

type Verb = MoveTask['verb'];
type Given = Readonly<Record<string, unknown>>;

interface Asked {
  readonly task: MoveTask;
  /** Else it is only planned. */
  readonly confirm: boolean;
}

/** What each takes, beside `confirm`; by position too, in this order. */
const PARAMETERS: Readonly<Record<Verb, readonly string[]>> = {
  evacuate: ['provider', 'minTolerates'],
  replace: ['old', 'by', 'minTolerates'],
  rebalance: [],
  recode: ['code', 'name', 'all', 'minTolerates'],
};

const WANTED: Readonly<Record<Verb, string>> = {
  evacuate: 'it takes provider, the id of one, and minTolerates, a whole number',
  replace: 'it takes old and by, ids of providers, and minTolerates, a whole number',
  rebalance: 'it takes nothing',
  recode:
    'it takes code, such as reed-solomon:16+8, name or all, which is true then, and minTolerates, a whole number',
};

/**
 * `POST /storage/<verb>?…&confirm=true`: moves what objects consist of, and answers with what it would take and how it went;
 * without `confirm` only with what it would take.
 */
export const mover = (verb: Verb): Endpoint<GatewayContext> => ({
  scope: 'admin',
  load: 'read',
  async run({ moves }, exchange) {
    const given: Record<string, unknown> = {};
    for (const [key, text] of exchange.target?.query ?? []) given[key] = fromText(key, text);
    const known = [...PARAMETERS[verb], 'confirm'];
    const asked = Object.keys(given).every((key) => known.includes(key)) ? askedFor(verb, given) : undefined;
    if (asked === undefined) throw badRequest(`${WANTED[verb]}; and confirm, true or false`);
    sendJson(exchange, 200, await answer(moves, asked, exchange.signal));
  },
});

/** The same as calls. */
export const moveMethods = (
  { moves }: GatewayContext,
  signal: AbortSignal,
): readonly (readonly [string, RpcMethod])[] =>
  (Object.keys(PARAMETERS) as Verb[]).map((verb) => [
    `storage.${verb}`,
    async (params) => {
      const asked = askedFor(verb, named(params, [...PARAMETERS[verb], 'confirm']));
      if (asked === undefined)
        throw new RpcError(RPC.invalidParams, `${WANTED[verb]}; and confirm, true or false`);
      return answer(moves, asked, signal);
    },
  ]);

const answer = (
  moves: GatewayContext['moves'],
  { task, confirm }: Asked,
  signal: AbortSignal,
): Promise<object> => (confirm ? moves.run(task, signal) : moves.plan(task, signal));

/** What a query says, as a call would. */
function fromText(key: string, text: string): unknown {
  if (key === 'confirm' || key === 'all') return text === 'true' ? true : text === 'false' ? false : text;
  return key === 'minTolerates' && /^\d{1,3}$/.test(text) ? Number(text) : text;
}

function askedFor(verb: Verb, given: Given): Asked | undefined {
  const { confirm = false, minTolerates } = given;
  if (typeof confirm !== 'boolean' || !(minTolerates === undefined || isCount(minTolerates)))
    return undefined;
  const task = taskOf(verb, given, minTolerates);
  return task && { task, confirm };
}

function taskOf(verb: Verb, given: Given, minTolerates: number | undefined): MoveTask | undefined {
  const { provider, old, by, code, name, all = false } = given;
  if (verb === 'rebalance') return { verb };
  if (verb === 'evacuate') return isText(provider) ? { verb, provider, minTolerates } : undefined;
  if (verb === 'replace')
    return isText(old) && isText(by) ? { verb, provider: old, by, minTolerates } : undefined;
  // Not by leaving the name out: all objects are to be meant.
  const isOne = isText(name) && all === false;
  const isAll = name === undefined && all === true;
  return isText(code) && (isOne || isAll) ? { verb, code, name, minTolerates } : undefined;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
