import { renderConfig, sectionsOf } from '../../config/render.ts';
import { describePolicy } from '../../config/rollout.ts';
import { configOf } from '../config-of.ts';
import type { CliContext, ConfigFlags } from '../flags.ts';
import { output } from '../io.ts';
import { runCommand } from '../run-command.ts';

/** Shows the configuration in force, or everything that is wrong with it. */
export default async function config(this: CliContext, flags: ConfigFlags): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const found = await configOf(flags, io);
    const { file, home, policy } = found;
    output(io, flags.json, { file, home, policy, ...sectionsOf(found) }, () => {
      const inForce = describePolicy(policy).map((line) => `# In force: ${line}\n`);
      return `# ${file}, home ${home}\n${inForce.join('')}\n${renderConfig(found).trimEnd()}`;
    });
    return undefined;
  });
}
