/**
 * What was typed, as the parser takes it: `--name=` has an empty value, like `--name ''`, and `help put` asks for the
 * help of `put`.
 */
export function asParsed(typed: readonly string[]): string[] {
  const [first, ...rest] = typed;
  if (first === 'help') return [...rest, '--help'];
  const end = typed.indexOf('--');
  const flags = end < 0 ? typed : typed.slice(0, end);
  const empty = (word: string): string[] =>
    /^--[a-z][a-zA-Z-]*=$/.test(word) ? [word.slice(0, -1), ''] : [word];
  return [...flags.flatMap(empty), ...typed.slice(flags.length)];
}

/** Whether the answer is for a program, also where the parser did not get so far as to read the flag. */
export function asksForJson(typed: readonly string[]): boolean {
  const end = typed.indexOf('--');
  return (end < 0 ? typed : typed.slice(0, end)).includes('--json');
}

/** Where to look after the parser has refused what was typed. */
export function helpHint([first]: readonly string[], unknownCommand: boolean): string {
  const command = unknownCommand || first === undefined || first.startsWith('-') ? '' : `${first} `;
  return `See \`holdfast ${command}--help\`.`;
}
