/**
 * Which bytes of a representation a request selects, and on what conditions: ranges (RFC 9110, 14.2) and preconditions
 * (RFC 9110, 13).
 */

/** A window of a representation: `[start, end)`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A header with more ranges than this is ignored: the answer is the whole. */
const MAX_RANGES = 64;
const MAX_HEADER_LENGTH = 4096;
const SPEC = /^(\d{0,16})-(\d{0,16})$/;

/**
 * Reads what a `Range` header asks of `size` bytes (RFC 9110, 14.2).
 *
 * `whole`: there is no header, or it has another unit, a malformed or inverted range, too many ranges, or several that do
 * not make one run of bytes. A server may ignore such a header, and the answer is 200. Ranges that overlap or touch count
 * as one. `unsatisfiable`: nothing of what the header asks for exists, and the answer is 416.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const specs = specsOf(header);
  if (specs === undefined) return 'whole';
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const range = resolve(spec, size);
    if (range === undefined) return 'whole';
    if (range !== 'unsatisfiable') ranges.push(range);
  }
  if (ranges.length === 0) return 'unsatisfiable';
  return merge(ranges);
}

function specsOf(header: string | undefined): string[] | undefined {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return undefined;
  const set = /^bytes=(.+)$/i.exec(header)?.[1];
  if (set === undefined) return undefined;
  // Empty list elements are legal and mean nothing.
  const specs = set
    .split(',')
    .map((spec) => spec.trim())
    .filter((spec) => spec !== '');
  return specs.length === 0 || specs.length > MAX_RANGES ? undefined : specs;
}

/** Undefined when it is malformed. */
function resolve(spec: string, size: number): ByteRange | 'unsatisfiable' | undefined {
  const parts = SPEC.exec(spec);
  if (parts === null) return undefined;
  const [, first = '', last = ''] = parts;
  if (first === '') {
    if (last === '') return undefined;
    const suffix = Number(last);
    if (suffix === 0) return 'unsatisfiable';
    // The last bytes of nothing are nothing, which only a 200 can say.
    return size === 0 ? undefined : { start: Math.max(0, size - suffix), end: size };
  }
  const start = Number(first);
  if (last !== '' && Number(last) < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(size, Number(last) + 1) };
}

function merge(ranges: ByteRange[]): ByteRange | 'whole' {
  const sorted = ranges.toSorted((a, b) => a.start - b.start);
  let { start, end } = sorted[0]!;
  for (const range of sorted) {
    if (range.start > end) return 'whole';
    end = Math.max(end, range.end);
  }
  return { start, end };
}

/** Compared with strong entity tags alone. We send no dates, so none is ever compared. */
interface Preconditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

const MAX_TAGS = 256;
const TAG = /\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(,|$)/y;

/**
 * Evaluates preconditions in the order of RFC 9110, 13.2.2.
 * @param etag the current entity tag with its quotes, undefined when there is no representation.
 * @param safe the method is GET or HEAD.
 */
export function evaluate(
  { ifMatch, ifNoneMatch }: Preconditions,
  etag: string | undefined,
  safe: boolean,
): 'proceed' | 'not_modified' | 'failed' {
  if (ifMatch !== undefined && !matches(ifMatch, etag, 'strong')) return 'failed';
  if (ifNoneMatch !== undefined && matches(ifNoneMatch, etag, 'weak')) {
    return safe ? 'not_modified' : 'failed';
  }
  return 'proceed';
}

/** Tells whether to obey a `Range`. Only one strong tag, the current one, validates a range. */
export function ifRangeHolds(ifRange: string | undefined, etag: string): boolean {
  return ifRange === undefined || ifRange.trim() === etag;
}

/** The tag in `"…"` of a header that holds exactly one strong tag. */
export function oneStrongTag(header: string): string | undefined {
  const tags = parseTags(header);
  if (tags?.length !== 1 || tags[0]!.weak) return undefined;
  return tags[0]!.opaque;
}

function matches(header: string, etag: string | undefined, comparison: 'strong' | 'weak'): boolean {
  if (etag === undefined) return false;
  if (header.trim() === '*') return true;
  const opaque = etag.slice(1, -1);
  const tags = parseTags(header) ?? [];
  return tags.some((tag) => tag.opaque === opaque && (comparison === 'weak' || !tag.weak));
}

/** Undefined when malformed: then nothing matches. */
function parseTags(header: string): { weak: boolean; opaque: string }[] | undefined {
  const tags: { weak: boolean; opaque: string }[] = [];
  const pattern = new RegExp(TAG);
  while (pattern.lastIndex < header.length) {
    const found = pattern.exec(header);
    if (found === null || tags.length === MAX_TAGS) return undefined;
    tags.push({ weak: found[1] !== undefined, opaque: found[2]! });
    if (found[3] === '' && pattern.lastIndex < header.length) return undefined;
  }
  return tags;
}
