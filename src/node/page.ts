import type { Exchange } from '../http/exchange.ts';
import { badRequest } from '../http/problem.ts';

const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 10_000;

/** One page of a listing in ascending order: what is after `after`, at most `limit`. */
export interface Page<T> {
  readonly items: readonly T[];
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

/** @param items ascending by their names, and one more than `limit` of them where there are more. */
export async function pageOf<T>(
  items: AsyncIterable<T>,
  nameOf: (item: T) => string,
  limit: number,
): Promise<Page<T>> {
  const page: T[] = [];
  for await (const item of items) {
    if (page.length === limit) return { items: page, next: nameOf(page.at(-1)!) };
    page.push(item);
  }
  return { items: page, next: undefined };
}
