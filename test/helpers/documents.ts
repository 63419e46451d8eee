/** Code in a document. */
export type Snippet = CodeBlock | { readonly kind: 'inline'; readonly text: string };

export interface CodeBlock {
  readonly kind: 'block';
  /** As the fence says; empty: none. */
  readonly language: string;
  readonly text: string;
}

const FENCE = /^ *```(\w*)\n(.*?)^ *```$/gms;

export function codeIn(markdown: string): Snippet[] {
  const blocks = [...markdown.matchAll(FENCE)].map(
    ([, language = '', text = '']): CodeBlock => ({ kind: 'block', language, text }),
  );
  const inline = [...markdown.replaceAll(FENCE, '').matchAll(/`([^`\n]+(?:\n[^`\n]+)?)`/g)].map(
    ([, text = '']): Snippet => ({ kind: 'inline', text: text.replaceAll(/\s*\n\s*/g, ' ') }),
  );
  return [...blocks, ...inline];
}

const SHELLS = ['sh', 'bash', 'console'];

/** The words of every call of `holdfast` in a piece of code; what is not one is left out. */
export function commandLines(code: Snippet): string[][] {
  if (code.kind === 'inline') return /^(?:npx )?holdfast [^\d]/.test(code.text) ? calls(code.text) : [];
  // Elsewhere what is typed stands behind a prompt, and what is printed does not.
  const typed = SHELLS.includes(code.language) ? /^/ : /^\$ /;
  return code.text
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => typed.test(line) && !/^ *#/.test(line))
    .flatMap(calls);
}

/** One line of a shell may call it several times, each between pipes, redirections and the like. */
function calls(line: string): string[][] {
  return simpleCommands(line).flatMap((words) => {
    const at = words.findIndex((word, i) => /^(?:\S*\/)?holdfast$/.test(word) && words[i - 1] !== '-u');
    const before = words.slice(0, Math.max(0, at));
    const started = before.every((word, i) => BEFORE.test(word) || before[i - 1] === '-u');
    return at < 0 || !started || at === words.length - 1 ? [] : [words.slice(at + 1)];
  });
}

/** What may stand before a program that is started. */
const BEFORE = /^(?:\$|npx|sudo|time|exec|[A-Z_]+=.*|-\w)$/;

const WORD = /'[^']*'|"[^"]*"|\$\([^)]*\)|[^\s'"|;&<>()]+/y;

function simpleCommands(line: string): string[][] {
  const commands: string[][] = [[]];
  let word: string | undefined;
  const end = (): void => {
    if (word !== undefined) commands.at(-1)!.push(word);
    word = undefined;
  };
  for (let at = 0; at < line.length; ) {
    WORD.lastIndex = at;
    const [piece] = WORD.exec(line) ?? [];
    if (piece?.startsWith('#') && word === undefined) break;
    if (piece !== undefined) {
      word = `${word ?? ''}${/^['"]/.test(piece) ? piece.slice(1, -1) : piece}`;
      at += piece.length;
      continue;
    }
    const char = line[at]!;
    at++;
    // `<id>` is a placeholder, `< file` a redirection.
    const placeholder = /^<[a-z| ]+>/.exec(line.slice(at - 1))?.[0];
    if (placeholder !== undefined) {
      word = `${word ?? ''}${placeholder.replaceAll(' ', '_')}`;
      at += placeholder.length - 1;
      continue;
    }
    end();
    if (/[|;&()]/.test(char)) commands.push([]);
    if (/[<>]/.test(char)) break;
  }
  end();
  return commands;
}
