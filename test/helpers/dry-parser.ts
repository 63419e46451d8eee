import { type Command, type RouteMap, run } from '@stricli/core';
import { app } from '../../src/cli/app.ts';
import type { CliContext } from '../../src/cli/flags.ts';

/** The parser with every command taken out: it judges what was typed, and runs nothing. */
const dry = {
  ...app,
  root: emptied(app.root as RouteMap<CliContext>),
};
function emptied(target: RouteMap<CliContext>): RouteMap<CliContext>;
function emptied(target: Command<CliContext>): Command<CliContext>;
function emptied(
  target: RouteMap<CliContext> | Command<CliContext>,
): RouteMap<CliContext> | Command<CliContext> {
  if (!('getAllEntries' in target)) return { ...target, loader: async () => () => {} };
  return {
    ...target,
    getRoutingTargetForInput(input) {
      const found = target.getRoutingTargetForInput(input);
      return found && emptied(found as RouteMap<CliContext>);
    },
    getDefaultCommand() {
      const found = target.getDefaultCommand();
      return found && emptied(found);
    },
  };
}

/** What the parser says against a command line; empty: nothing. */
export async function refusal(words: readonly string[]): Promise<string> {
  let said = '';
  const stream = {
    write: (text: string) => {
      said += text;
    },
  };
  const typed = words[0] === 'help' ? [...words.slice(1), '--help'] : words;
  if (typed[0] === '--version') return '';
  const place = { stdout: { write() {} }, stderr: stream, exitCode: undefined, env: {} };
  await run(dry, typed, { process: place } as unknown as CliContext);
  return Number(place.exitCode) < 0 ? said || 'refused' : '';
}
