import { HoldfastError } from '../core/errors.ts';

export interface ByteRange {
  readonly start?: number;
  readonly length?: number;
}

/** `FIRST-LAST`, `FIRST-` or `-SUFFIX`, as in HTTP: positions from 0, the last one included. */
export function parseRange(text: string | undefined): ByteRange {
  if (text === undefined) return {};
  const match = /^(\d{1,15})?-(\d{1,15})?$/.exec(text);
  const [first, last] = [match?.[1], match?.[2]];
  if (first !== undefined && last === undefined) return { start: Number(first) };
  if (first !== undefined && last !== undefined && Number(last) >= Number(first)) {
    return { start: Number(first), length: Number(last) - Number(first) + 1 };
  }
  if (first === undefined && last !== undefined && Number(last) > 0) return { start: -Number(last) };
  throw new HoldfastError('ConfigInvalid', `"${text}" is not a range of bytes`, {
    code: 'bad_range',
    hint: 'Give FIRST-LAST (both from 0 and included), FIRST-, or -SUFFIX as in --range=-100.',
  });
}
