import type { CliContext } from '../flags.ts';
import { print } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { SHELLS } from '../shell/completion.ts';

export default async function completion(
  this: CliContext,
  _flags: Record<never, never>,
  shell: keyof typeof SHELLS,
): Promise<void> {
  await runCommand(this, false, async (io) => {
    print(io, SHELLS[shell](this.commandTable()).trimEnd());
    return undefined;
  });
}
