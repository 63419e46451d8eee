import { XMLParser } from 'fast-xml-parser';
import { HoldfastError } from '../../core/errors.ts';

const LISTS: ReadonlySet<string> = new Set(['Contents']);
const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  removeNSPrefix: true,
  isArray: (name) => LISTS.has(name),
});

type Node = Readonly<Record<string, unknown>>;

const asNode = (value: unknown): Node => (typeof value === 'object' && value !== null ? (value as Node) : {});
const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

function parse(text: string): Node {
  try {
    return asNode(parser.parse(text));
  } catch (error) {
    throw new HoldfastError('Unavailable', 'the server sent XML that cannot be read', {
      code: 'bad_xml',
      cause: error,
    });
  }
}

/** The `Code` of an error document; undefined for anything else. */
export function errorCodeOf(text: string): string | undefined {
  if (!text.includes('<Error')) return undefined;
  try {
    return asText(asNode(parse(text).Error).Code);
  } catch {
    return undefined;
  }
}

export interface ListPage {
  readonly keys: readonly string[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

export function listPageOf(text: string): ListPage {
  const result = asNode(parse(text).ListBucketResult);
  const contents = Array.isArray(result.Contents) ? result.Contents : [];
  const keys = contents.map((entry) => asText(asNode(entry).Key)).filter((key) => key !== undefined);
  const next = result.IsTruncated === 'true' ? asText(result.NextContinuationToken) : undefined;
  return { keys, next };
}

export function uploadIdOf(text: string): string {
  const id = asText(asNode(parse(text).InitiateMultipartUploadResult).UploadId);
  if (id !== undefined) return id;
  throw new HoldfastError('Unavailable', 'the server did not name the upload it began', { code: 'bad_xml' });
}

/** @param etags of the parts, in order. */
export function completeBody(etags: readonly string[]): string {
  const parts = etags.map((etag, i) => {
    const escaped = etag.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/"/g, '&quot;');
    return `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escaped}</ETag></Part>`;
  });
  return `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
}
