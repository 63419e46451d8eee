/** Conditional requests (RFC 9110, 13) over strong entity tags. Dates are never sent, so none is ever compared. */

export interface Preconditions {
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

/** Whether a `Range` is to be obeyed. Only one strong tag that is the current one validates a range. */
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
