import { renderConfig, sectionsOf } from '../../config/render.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';

/** Shows the configuration in force, or everything that is wrong with it. */
export default async function config(this: CliContext, flags: ConfigFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const found = await configOf(flags, io);
    const { file, home } = found;
    output(io, flags.json, { file, home, ...sectionsOf(found) }, () => {
      return `# ${file}, home ${home}\n\n${renderConfig(found).trimEnd()}`;
    });
    return undefined;
  });
}
