import type { NamePrefix } from '../../records/name-listing.ts';
import type { NamedObject } from '../../records/name-page.ts';
import type { CliContext, CommonFlags } from '../flags.ts';
import { bytes, counted, isoTime, table } from '../format.ts';
import { note, output } from '../io.ts';
import { runCommand } from '../run-command.ts';
import { DamagedNames } from '../warnings.ts';
import { collected, withVault } from '../with-vault.ts';

interface LsFlags extends CommonFlags {
  readonly long: boolean;
  readonly bytes: boolean;
  readonly delimiter?: string;
  readonly after?: string;
  readonly limit?: number;
}

type Listed = NamedObject | NamePrefix;

export default async function ls(this: CliContext, flags: LsFlags, prefix?: string): Promise<void> {
  await runCommand(this, flags.json, async (io) => {
    const { delimiter, after, limit } = flags;
    const part = { prefix, delimiter, after, limit: limit === undefined ? undefined : limit + 1 };
    const damaged = new DamagedNames();
    const listed = await withVault(io, flags, (vault) =>
      collected<Listed>(vault.listObjects({ ...part, onDamaged: damaged.onDamaged, signal: io.signal })),
    );
    const exit = damaged.tell(io);
    const more = limit !== undefined && listed.length > limit;
    if (more) listed.pop();
    if (listed.length === 0 && prefix === undefined && after === undefined && !flags.json)
      note(io, 'There are no names here. If the state was lost, `holdfast recover` brings them back.');
    if (listed.length === 0 && !flags.json) return exit;
    output(io, flags.json, listed, () =>
      flags.long || flags.bytes ? long(listed, flags.bytes) : listed.map(textOf).join('\n'),
    );
    if (more) note(io, `There are more: go on with --after '${textOf(listed.at(-1)!)}'.`);
    return exit;
  });
}

const textOf = (listed: Listed): string => ('name' in listed ? listed.name : listed.prefix);

function long(listed: readonly Listed[], exact: boolean): string {
  const objects = listed.filter((item) => 'name' in item);
  const size = (count: number): string => (exact ? String(count) : bytes(count));
  const sizes = listed.map((item) => ('name' in item ? size(item.size) : '-'));
  const width = Math.max(...sizes.map((text) => text.length), 'size'.length);
  const rows = listed.map((item, at) => [
    sizes[at]!.padStart(width),
    'name' in item ? isoTime(item.createdMs) : '-',
    'name' in item ? item.version : '-',
    textOf(item),
  ]);
  const total = objects.reduce((sum, object) => sum + object.size, 0);
  return [
    table([['size'.padStart(width), 'created', 'version', 'name'], ...rows]),
    `${counted(objects.length, 'object')}, ${size(total)}`,
  ].join('\n');
}
