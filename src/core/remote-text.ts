/** Text that somebody else wrote, made fit to keep, to log and to show. */

const MAX_CHARACTERS = 256;

/** Control characters, and those that turn the direction of writing round or end a line unseen. */
const UNPRINTABLE = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/gu;

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** One line, in which nothing moves a terminal's cursor. Escapes are JSON's, so a JSON text stays one. */
export const printableLine = (text: string): string => text.replace(UNPRINTABLE, escaped);

/** At most 256 characters of a text of any length. */
export const shortText = (text: string): string =>
  text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;

/** What a server says of itself, e.g. an error code: short and of one line from where it enters. */
export const remoteText = (text: string): string => shortText(printableLine(shortText(text)));

/** The same for a text of several lines. */
export const printableText = (text: string): string =>
  text.replace(UNPRINTABLE, (char) => (char === '\n' || char === '\t' ? char : escaped(char)));
