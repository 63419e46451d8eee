import { HoldfastError } from '../../core/errors.ts';
import { remoteText } from '../../core/remote-text.ts';
import type { WireAnswer } from '../wire/answer.ts';
import { asNode, asText, type Node, parseXml, xmlEntries } from '../wire/xml.ts';

/** Of a page of a listing: a thousand keys of the longest kind, and what servers tell of each. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

/** The `Code` of an error document; undefined for anything else. */
export function errorCodeOf(text: string): string | undefined {
  if (!text.includes('<Error')) return undefined;
  try {
    const code = asText(asNode(parseXml(text).Error).Code);
    return code === undefined ? undefined : remoteText(code);
  } catch {
    return undefined;
  }
}

export interface ListedKey {
  readonly key: string;
  /** Undefined where the server does not tell. */
  readonly size: number | undefined;
  /** By the server's clock; undefined where it does not tell. */
  readonly modifiedUnixMs: number | undefined;
}

interface ListPage {
  readonly entries: readonly ListedKey[];
  /** Undefined on the last page. */
  readonly next: string | undefined;
}

export async function listPageOf(answer: WireAnswer): Promise<ListPage> {
  const { entries, around } = await entriesOf(answer, 'Contents');
  const result = asNode(around.ListBucketResult);
  const keys = entries.flatMap(({ Key, Size, LastModified }) => {
    const key = asText(Key);
    return key === undefined ? [] : [{ key, size: sizeOf(Size), modifiedUnixMs: timeOf(LastModified) }];
  });
  const next = result.IsTruncated === 'true' ? asText(result.NextContinuationToken) : undefined;
  return { entries: keys, next };
}

export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  /** Undefined where the server does not tell. */
  readonly initiatedUnixMs: number | undefined;
}

/** The first page of a listing of multipart uploads. */
export async function uploadsOf(answer: WireAnswer): Promise<UnfinishedUpload[]> {
  const { entries } = await entriesOf(answer, 'Upload');
  return entries.flatMap((upload) => {
    const key = asText(upload.Key);
    const uploadId = asText(upload.UploadId);
    if (key === undefined || uploadId === undefined) return [];
    return [{ key, uploadId, initiatedUnixMs: timeOf(upload.Initiated) }];
  });
}

async function entriesOf(answer: WireAnswer, name: string): Promise<{ entries: Node[]; around: Node }> {
  const source = xmlEntries(answer, name, MAX_PAGE_BYTES);
  const entries: Node[] = [];
  for (;;) {
    const step = await source.next();
    if (step.done) return { entries, around: step.value };
    entries.push(step.value);
  }
}

const timeOf = (value: unknown): number | undefined => {
  const time = Date.parse(asText(value) ?? '');
  return Number.isNaN(time) ? undefined : time;
};

const sizeOf = (value: unknown): number | undefined => {
  const text = asText(value) ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
};

export function uploadIdOf(text: string): string {
  const id = asText(asNode(parseXml(text).InitiateMultipartUploadResult).UploadId);
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
