/** One step of a file pattern: what a name must be like. */
type Token =
  | { readonly kind: 'char'; readonly char: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'many' }
  | {
      readonly kind: 'set';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

/** Whether a word has wildcards: `*`, `?` or `[…]`. */
export const isPattern = (word: string): boolean => /[*?[]/.test(word.replace(/\\./gs, ''));

/** Without wildcards' backslashes: the name that a segment stands for. */
export const plainSegment = (segment: string): string => segment.replace(/\\(.)/gs, '$1');

/**
 * Tests names against one segment of a pattern: `*` any characters, `?` one, `[a-z]` one of these, `[!a-z]` one of the
 * others, `\*` a star. A name that starts with a dot must be asked for with a dot. Takes at most the length of the name
 * times that of the pattern.
 */
export function nameMatcher(segment: string): (name: string) => boolean {
  const tokens = tokensOf(segment);
  const dotted = tokens[0]?.kind === 'char' && tokens[0].char === '.';
  return (name) => (dotted || !name.startsWith('.')) && matches(tokens, [...name]);
}

function tokensOf(segment: string): Token[] {
  const chars = [...segment];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at]!;
    const set = char === '[' ? readSet(chars, at) : undefined;
    if (set !== undefined) {
      tokens.push(set.token);
      at = set.end;
    } else if (char === '*') {
      if (tokens.at(-1)?.kind !== 'many') tokens.push({ kind: 'many' });
    } else if (char === '?') tokens.push({ kind: 'any' });
    else if (char === '\\' && at + 1 < chars.length) tokens.push({ kind: 'char', char: chars[++at]! });
    else tokens.push({ kind: 'char', char });
  }
  return tokens;
}

/** `[…]` from `start`; undefined when it is not closed, and so a bracket like any character. */
function readSet(chars: readonly string[], start: number): { token: Token; end: number } | undefined {
  let at = start + 1;
  const negated = chars[at] === '!' || chars[at] === '^';
  if (negated) at++;
  const ranges: [string, string][] = [];
  for (let first = true; at < chars.length; first = false) {
    if (chars[at] === ']' && !first) return { token: { kind: 'set', negated, ranges }, end: at };
    const low = chars[at]!;
    const high = chars[at + 2];
    if (chars[at + 1] === '-' && high !== undefined && high !== ']') {
      ranges.push([low, high]);
      at += 3;
    } else {
      ranges.push([low, low]);
      at++;
    }
  }
  return undefined;
}

/** On a mismatch the last star takes one character more; earlier ones need never be asked again. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let [token, at] = [0, 0];
  let star = -1;
  let starAt = 0;
  while (at < name.length) {
    const wanted = tokens[token];
    if (wanted?.kind === 'many') {
      star = token++;
      starAt = at;
    } else if (wanted !== undefined && fits(wanted, name[at]!)) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++starAt;
    } else return false;
  }
  while (tokens[token]?.kind === 'many') token++;
  return token === tokens.length;
}

function fits(token: Token, char: string): boolean {
  if (token.kind === 'char') return token.char === char;
  if (token.kind !== 'set') return true;
  return token.ranges.some(([low, high]) => low <= char && char <= high) !== token.negated;
}
