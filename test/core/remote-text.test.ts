import { expect, it } from 'vitest';
import { asHoldfastError } from '../../src/core/errors.ts';
import { printableLine, printableText, remoteText } from '../../src/core/remote-text.ts';

const HOSTILE = '\u001b]0;owned\u0007\u001b[2J\u009b31mred\u202egpj.exe\r\nsecond\u2028third\u007f';

it('remote text is cut at 256 characters, whatever it becomes', () => {
  expect(remoteText('x'.repeat(256))).toHaveLength(256);
  expect(remoteText('x'.repeat(1_000_000))).toHaveLength(256);
  expect(remoteText('\u001b'.repeat(256))).toHaveLength(256);
  expect(remoteText('a\nb\u001b')).toBe('a\\u000ab\\u001b');
  expect(asHoldfastError(new Error('x'.repeat(1_000_000))).message).toHaveLength(256);
});

it('nothing that moves a cursor, turns the text round or breaks a line stays as it is', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  expect(printableLine(HOSTILE)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e]/);
  expect(printableText('a\tb\nc\u001b')).toBe('a\tb\nc\\u001b');
});

it('the escapes are those of JSON: a line of JSON stays one, and means the same', () => {
  expect(JSON.parse(printableLine(JSON.stringify({ HOSTILE })))).toEqual({ HOSTILE });
});
