import type { Exchange } from '../../http/exchange.ts';
import { badRequest } from '../../http/message/problem.ts';

const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 10_000;

/** One page of a listing in ascending order: names after `after`, at most `limit`. */
export interface Page {
  readonly names: readonly string[];
  /** What to give as `after` for the next page; undefined on the last one. */
  readonly next: string | undefined;
}

/** @throws HttpProblem 400 */
export function limitOf({ target }: Exchange): number {
  const text = target?.query.get('limit') ?? String(DEFAULT_LIMIT);
  const limit = Number(text);
  if (!/^\d{1,5}$/.test(text) || limit < 1 || limit > MAX_LIMIT) {
    throw badRequest(`limit is a whole number from 1 to ${MAX_LIMIT}`);
  }
  return limit;
}

/** @throws HttpProblem 400 unless the parameter has the form, or is not there. */
export function parameter({ target }: Exchange, name: string, form: RegExp): string {
  const value = target?.query.get(name) ?? '';
  if (!form.test(value)) throw badRequest(`the parameter ${name} is not of the form ${form.source}`);
  return value;
}

/**
 * The smallest `limit` names after `after` out of sources in ascending order of their names, each in any order by
 * itself. Holds no more than a few pages in memory, however long a source is.
 */
export async function pageOf(
  sources: Iterable<() => AsyncIterable<string>>,
  after: string,
  limit: number,
): Promise<Page> {
  const names: string[] = [];
  for (const source of sources) {
    const wanted = limit + 1 - names.length;
    names.push(...(await smallest(source(), after, wanted)));
    if (names.length > limit) return { names: names.slice(0, limit), next: names[limit - 1] };
  }
  return { names, next: undefined };
}

async function smallest(source: AsyncIterable<string>, after: string, count: number): Promise<string[]> {
  let best: string[] = [];
  for await (const name of source) {
    if (name <= after) continue;
    best.push(name);
    if (best.length >= 4 * count) best = best.sort().slice(0, count);
  }
  return best.sort().slice(0, count);
}
