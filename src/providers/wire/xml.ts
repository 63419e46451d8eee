import { XMLParser } from 'fast-xml-parser';
import { HoldfastError } from '../../core/errors.ts';
import type { WireAnswer } from './answer.ts';

/** XML of servers: read with little memory, and never so much at once that others wait for it. */

export type Node = Readonly<Record<string, unknown>>;

/** Of an answer that is about one thing, such as an error. */
export const MAX_SMALL_XML: number = 64 * 1024;
/** Of one entry of a list. */
const MAX_ENTRY = 64 * 1024;

export const asNode = (value: unknown): Node =>
  typeof value === 'object' && value !== null ? (value as Node) : {};
export const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

const parser = new XMLParser({ ignoreAttributes: true, parseTagValue: false, removeNSPrefix: true });

/** An element that may stand there once or more often, or not at all. */
export const asList = (value: unknown): readonly unknown[] => {
  if (value === undefined) return [];
  return Array.isArray(value) ? value : [value];
};

/** @param text at most {@link MAX_SMALL_XML} or so. @throws HoldfastError `Unavailable`, code `bad_xml`. */
export function parseXml(text: string): Node {
  try {
    return asNode(parser.parse(text));
  } catch (cause) {
    throw unreadable(cause);
  }
}

/**
 * The entries of a list, one by one as they come, and what stands around them as the result.
 * @param entry name of their elements. @param maxBytes of the whole answer.
 */
export async function* xmlEntries(
  answer: WireAnswer,
  entry: string,
  maxBytes: number,
): AsyncGenerator<Node, Node, undefined> {
  const opening = new RegExp(`<(?:[\\w.-]{1,64}:)?${entry}[\\s>]`, 'g');
  const closing = new RegExp(`</(?:[\\w.-]{1,64}:)?${entry}\\s{0,64}>`, 'g');
  const decoder = new TextDecoder();
  let around = '';
  let text = '';
  let inside = false;
  let bytes = 0;
  for await (const piece of answer.body) {
    bytes += piece.length;
    if (bytes > maxBytes) throw unreadable();
    text += decoder.decode(piece, { stream: true });
    for (;;) {
      const tag = inside ? closing : opening;
      tag.lastIndex = 0;
      const found = tag.exec(text);
      if (found === null) break;
      const end = inside ? tag.lastIndex : found.index;
      if (inside) yield asNode(Object.values(parseXml(text.slice(0, end)))[0]);
      else around += text.slice(0, end);
      text = text.slice(end);
      inside = !inside;
    }
    if (!inside) {
      // A tag may have come by halves.
      const kept = Math.max(0, text.length - TAG_LENGTH);
      around += text.slice(0, kept);
      text = text.slice(kept);
    }
    if (around.length > MAX_SMALL_XML || text.length > MAX_ENTRY) throw unreadable();
  }
  if (inside) throw unreadable();
  return parseXml(around + text);
}

/** Longer than any tag looked for. */
const TAG_LENGTH = 256;

const unreadable = (cause?: unknown): HoldfastError =>
  new HoldfastError('Unavailable', 'the server sent XML that cannot be read', {
    code: 'bad_xml',
    ...(cause === undefined ? {} : { cause }),
  });
