import { XMLParser } from 'fast-xml-parser';
import { HoldfastError } from '../../core/errors.ts';

const parser = new XMLParser({
  ignoreAttributes: true,
  parseTagValue: false,
  removeNSPrefix: true,
  isArray: (name) => name === 'response' || name === 'propstat',
});

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

type Node = Readonly<Record<string, unknown>>;
const asNode = (value: unknown): Node => (typeof value === 'object' && value !== null ? (value as Node) : {});
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** What a `PROPFIND` shows, the resource asked for included (RFC 4918, 9.1). */
export function membersOf(text: string): Member[] {
  let root: Node;
  try {
    root = asNode(parser.parse(text));
  } catch (error) {
    throw new HoldfastError('Unavailable', 'the server sent XML that cannot be read', {
      code: 'bad_xml',
      cause: error,
    });
  }
  return asList(asNode(root.multistatus).response).flatMap((response) => {
    const { href, propstat } = asNode(response);
    if (typeof href !== 'string') return [];
    const props = asList(propstat).map((stat) => asNode(asNode(stat).prop));
    const isFolder = props.some((prop) => Object.hasOwn(asNode(prop.resourcetype), 'collection'));
    const textOf = (key: string): unknown =>
      props.map((prop) => prop[key]).find((text) => typeof text === 'string' && text !== '');
    const length = textOf('getcontentlength');
    const modified = Date.parse(String(textOf('getlastmodified')));
    return [
      {
        name: href.replace(/\/$/, '').split('/').at(-1) ?? '',
        isFolder,
        size: typeof length === 'string' && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
        modifiedUnixMs: Number.isNaN(modified) ? undefined : modified,
      },
    ];
  });
}
