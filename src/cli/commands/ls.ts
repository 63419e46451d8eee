import type { NamedObject } from '../../vault/open-vault.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, isoTime, table } from '../format.ts';
import { note, output } from '../io.ts';
import { namesOf } from '../names-of.ts';
import { runCommand } from '../run-command.ts';
import { withVault } from '../with-vault.ts';

interface LsFlags extends CommonFlags {
  readonly long: boolean;
  readonly bytes: boolean;
}

export default async function ls(this: CliContext, flags: LsFlags, prefix?: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const objects = await withVault(io, flags, (vault) => namesOf(vault, io, prefix));
    if (objects.length === 0 && prefix === undefined && !flags.json) {
      note(io, 'There are no names here. If the state was lost, `holdfast recover` brings them back.');
    }
    if (objects.length === 0 && !flags.json) return undefined;
    output(io, flags.json, objects, () =>
      flags.long || flags.bytes ? long(objects, flags.bytes) : objects.map(({ name }) => name).join('\n'),
    );
    return undefined;
  });
}

function long(objects: readonly NamedObject[], exact: boolean): string {
  const size = (count: number): string => (exact ? String(count) : bytes(count));
  const sizes = objects.map((object) => size(object.size));
  const width = Math.max(...sizes.map((text) => text.length), 'size'.length);
  const rows = objects.map(({ createdMs, version, name }, at) => [
    sizes[at]!.padStart(width),
    isoTime(createdMs),
    version,
    name,
  ]);
  const total = objects.reduce((sum, object) => sum + object.size, 0);
  return [
    table([['size'.padStart(width), 'created', 'version', 'name'], ...rows]),
    `${counted(objects.length, 'object')}, ${size(total)}`,
  ].join('\n');
}
