import type { WireAnswer } from '../wire/answer.ts';
import { asList, asNode, type Node, xmlEntries } from '../wire/xml.ts';

export interface Member {
  /** Last part of its path. */
  readonly name: string;
  readonly isFolder: boolean;
  /** Undefined where the server does not tell, as for a collection. */
  readonly size: number | undefined;
  /** By the server's clock; undefined where it does not tell. */
  readonly modifiedUnixMs: number | undefined;
}

export const MEMBERS_REQUEST =
  '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>';

/** What a `PROPFIND` shows, the resource asked for included (RFC 4918, 9.1). @param maxBytes of the answer. */
export async function* membersOf(
  answer: WireAnswer,
  maxBytes: number,
): AsyncGenerator<Member, void, undefined> {
  for await (const response of xmlEntries(answer, 'response', maxBytes)) {
    const member = memberOf(response);
    if (member !== undefined) yield member;
  }
}

function memberOf({ href, propstat }: Node): Member | undefined {
  if (typeof href !== 'string') return undefined;
  const props = asList(propstat).map((stat) => asNode(asNode(stat).prop));
  const isFolder = props.some((prop) => Object.hasOwn(asNode(prop.resourcetype), 'collection'));
  const textOf = (key: string): unknown =>
    props.map((prop) => prop[key]).find((text) => typeof text === 'string' && text !== '');
  const length = textOf('getcontentlength');
  const modified = Date.parse(String(textOf('getlastmodified')));
  return {
    name: href.replace(/\/$/, '').split('/').at(-1) ?? '',
    isFolder,
    size: typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
    modifiedUnixMs: Number.isNaN(modified) ? undefined : modified,
  };
}
