import { XMLParser } from 'fast-xml-parser';
import { HoldfastError } from '../../core/errors.ts';

const LISTS: ReadonlySet<string> = new Set(['Contents', 'Upload']);
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
  readonly entries: readonly { readonly key: string; readonly modifiedUnixMs: number }[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

export function listPageOf(text: string): ListPage {
  const result = asNode(parse(text).ListBucketResult);
  const entries = nodesOf(result.Contents).flatMap(({ Key, LastModified }) => {
    const key = asText(Key);
    return key === undefined ? [] : [{ key, modifiedUnixMs: timeOf(LastModified) }];
  });
  const next = result.IsTruncated === 'true' ? asText(result.NextContinuationToken) : undefined;
  return { entries, next };
}

export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedUnixMs: number;
}

/** The first page of a listing of multipart uploads. */
export function uploadsOf(text: string): UnfinishedUpload[] {
  return nodesOf(asNode(parse(text).ListMultipartUploadsResult).Upload).flatMap((upload) => {
    const key = asText(upload.Key);
    const uploadId = asText(upload.UploadId);
    if (key === undefined || uploadId === undefined) return [];
    return [{ key, uploadId, initiatedUnixMs: timeOf(upload.Initiated) }];
  });
}

const nodesOf = (value: unknown): Node[] => (Array.isArray(value) ? value.map(asNode) : []);

/** What tells no time counts as new. */
const timeOf = (value: unknown): number => {
  const time = Date.parse(asText(value) ?? '');
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time;
};

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
