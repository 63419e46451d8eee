/** A window of a representation: `[start, end)`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** More ranges than this in one header are not looked at: the whole is sent instead. */
const MAX_RANGES = 64;
const MAX_HEADER_LENGTH = 4096;
const SPEC = /^(\d{0,16})-(\d{0,16})$/;

/**
 * What a `Range` header asks of `size` bytes (RFC 9110, 14.2).
 *
 * `whole`: no header, another unit, a malformed or inverted range, too many ranges, or several that do not make one
 * run of bytes: the header is ignored, as it may be, and the answer is 200. Ranges that overlap or touch are
 * one. `unsatisfiable`: nothing of what is asked for exists; the answer is 416.
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
