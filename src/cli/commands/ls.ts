import type { NamedObject } from '../../compose/open-vault.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { isoTime, table } from '../format.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

export default async function ls(this: CliContext, flags: CommonFlags, prefix?: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const objects = await withVault(io, flags, async (vault) => {
      const found: NamedObject[] = [];
      for await (const object of vault.list({ signal: io.signal })) {
        if (object.name.startsWith(prefix ?? '')) found.push(object);
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
    if (objects.length === 0 && prefix === undefined && !flags.json) {
      note(io, 'There are no names here. If the state was lost, `holdfast recover` brings them back.');
    }
    output(io, flags.json, objects, () =>
      table([
        ['size', 'created', 'version', 'name'],
        ...objects.map(({ size, createdMs, version, name }) => [size, isoTime(createdMs), version, name]),
      ]),
    );
    return undefined;
  });
}
