import type { Exchange } from '../http/exchange.ts';
import { badRequest } from '../http/problem.ts';

const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 10_000;

/** One page of a listing in ascending order: names after `after`, at most `limit`. */
export interface Page {
  readonly names: readonly string[];
  /** Give this as `after` for the next page; undefined on the last one. */
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

/** The parameter, or nothing. @throws HttpProblem 400 when it has another form. */
export function parameter({ target }: Exchange, name: string, form: RegExp): string {
  const value = target?.query.get(name) ?? '';
  if (!form.test(value)) throw badRequest(`the parameter ${name} is not of the form ${form.source}`);
  return value;
}

/** @param names are in ascending order, and one more than `limit` where there are more. */
export async function pageOf(names: AsyncIterable<string>, limit: number): Promise<Page> {
  const page: string[] = [];
  for await (const name of names) {
    if (page.length === limit) return { names: page, next: page.at(-1) };
    page.push(name);
  }
  return { names: page, next: undefined };
}
